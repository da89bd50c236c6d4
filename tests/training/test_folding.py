"""Frozen batch normalisations are folded while training: the same losses and gradients, and nothing left behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.training.folding import foldable_pairs, folded


def network_with_statistics(name: str, **settings):
    """A network whose batch normalisations have statistics and scales unlike those of the start."""
    network = build_model(ModelConfig(name, **settings), 3, seed=0)
    stream = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=stream) * 0.1)
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=stream) + 0.5)
    return network.eval()


def gradients(network, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    network.zero_grad()
    loss = nn.functional.cross_entropy(network(images).logits, labels)
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ["resnet20", "plain20", "mobilenet_v2", "densenet40_k12"])
def test_loss_and_gradients_are_those_of_the_network_itself(name):
    network = network_with_statistics(name).double()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0])
    loss, expected = gradients(network, images, labels)
    pairs = foldable_pairs(network.float(), 32)
    with folded(network.double(), pairs):
        found_loss, found = gradients(network, images, labels)
    assert torch.allclose(found_loss, loss, rtol=1e-9)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.allclose(found[key], value, rtol=1e-6, atol=1e-9), key


def test_every_normalisation_after_a_convolution_of_a_resnet_is_folded():
    network = network_with_statistics("resnet20")
    assert len(foldable_pairs(network, 32)) == 19  # the first convolution and two in each of nine blocks


def test_a_normalisation_that_adapts_is_left_alone():
    network = network_with_statistics("resnet20")
    pairs = foldable_pairs(network, 32)
    network.train()
    before = network.get_submodule(pairs[0][1]).running_mean.clone()
    with folded(network, pairs):
        network(torch.randn(4, 3, 32, 32))
    assert not torch.equal(network.get_submodule(pairs[0][1]).running_mean, before)


def test_nothing_of_the_folding_remains_also_after_an_error():
    network = network_with_statistics("resnet20")
    state = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(RuntimeError, match="stop"), folded(network, foldable_pairs(network, 32)):
        raise RuntimeError("stop")
    assert not any("forward" in vars(module) for module in network.modules())
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())


def test_the_mode_of_the_network_is_kept_by_the_search_for_pairs():
    network = network_with_statistics("resnet20")
    network.train()
    foldable_pairs(network, 32)
    assert network.training
