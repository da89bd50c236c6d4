"""Frozen batch normalisations are folded while training: the same losses and gradients, and nothing left behind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tiny_network import plan_for
from torch import nn

from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.strategies.settings import RuleConfig, StrategyConfig
from vision2.training.folding import foldable_pairs, folded
from vision2.training.learner import Learner
from vision2.training.parameter_plan import apply_phase, set_training_mode
from vision2.training.settings import TrainConfig

FROZEN_NORMS, FROZEN_STAGES = {"batchnorm": "frozen"}, {"unfreeze_from": "layer3"}
WITHOUT_SHIFT = {"batchnorm": "frozen", "rules": [RuleConfig("backbone.bn1.*", frozen=True)]}


class FixedBatches(list):
    def epoch(self, _epoch, _place=None):
        return iter(self)


def batches():
    random = torch.Generator().manual_seed(1)
    labels = torch.tensor([0, 1, 2, 0])
    images = [torch.randn(4, 3, 16, 16, generator=random, dtype=torch.float64) for _ in range(2)]
    return FixedBatches(SimpleNamespace(images=x, targets=labels, labels=labels) for x in images)


def made_network(name="resnet20", image_size_px=16):
    """A network whose batch normalisations have statistics that matter, unlike those of the start."""
    made, random = build_model(ModelConfig(name), 3, seed=0, image_size_px=image_size_px), torch.Generator().manual_seed(2)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=random).mul_(0.1)
            module.running_var.uniform_(0.5, 2.0, generator=random)
    return made


def learner(**settings):
    """In float64, so that equal computations agree far more closely than wrong ones."""
    strategy, subject = StrategyConfig(name="finetune", lr=0.01, **settings), made_network()
    pairs = foldable_pairs(subject, 16)
    train = TrainConfig(epochs=2, warmup_epochs=0, schedule="constant")
    subject = subject.double()
    return Learner(subject, plan_for(subject, strategy), strategy, train, precision="float32", seed=0, foldable=pairs)


def prepared(strategy, subject):
    apply_phase(subject, plan_for(subject, strategy), 1)
    set_training_mode(subject, strategy)


@pytest.mark.parametrize("settings", [FROZEN_NORMS, FROZEN_STAGES, WITHOUT_SHIFT], ids=["norms", "stages", "rule"])
def test_losses_and_gradients_equal_those_without_folding(settings):
    strategy, subject = StrategyConfig(name="finetune", **settings), made_network()
    pairs, images = foldable_pairs(subject, 16), batches()[0].images
    prepared(strategy, subject.double())
    found = []
    for chosen in ((), pairs):
        subject.zero_grad()
        with folded(subject, chosen):
            loss = subject(images).logits.logsumexp(1).sum()
            loss.backward()
        found.append({"loss": loss.detach(), **{n: p.grad for n, p in subject.named_parameters() if p.grad is not None}})
    expected, got = found
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert (got[name] - value).norm() <= 1e-9 * value.norm(), name


def test_frozen_stages_have_no_gradient_graph():
    strategy, subject, seen = StrategyConfig(name="finetune", **FROZEN_STAGES), made_network(), {}
    pairs = foldable_pairs(subject, 16)
    prepared(strategy, subject)
    for stage in ("layer2", "layer3"):
        module = subject.module_at(stage)
        module.register_forward_hook(lambda _module, _inputs, output, stage=stage: seen.update({stage: output.requires_grad}))
    with folded(subject, pairs):
        subject(batches()[0].images.float())
    assert seen == {"layer2": False, "layer3": True}


def test_frozen_stages_and_statistics_are_bit_identical_after_training():
    subject = learner(**FROZEN_STAGES, **FROZEN_NORMS)
    before = {name: value.clone() for name, value in subject.network.state_dict().items()}
    subject.train_epoch(batches(), 1)
    after = subject.network.state_dict()
    assert list(after) == list(before)
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed
    assert all(name.startswith(("backbone.layer3", "head.")) and "running" not in name for name in changed)


def test_folding_is_undone_after_an_epoch_and_after_an_error():
    subject, broken = learner(**FROZEN_NORMS), FixedBatches([SimpleNamespace(images=None, targets=None, labels=None)])
    subject.train_epoch(batches(), 1)
    with pytest.raises(TypeError):
        subject.train_epoch(broken, 2)
    assert not any("forward" in vars(module) for module in subject.network.modules())


@pytest.mark.parametrize("settings", [FROZEN_NORMS, FROZEN_STAGES], ids=["norms", "stages"])
def test_a_resumed_run_is_bit_equal_to_an_uninterrupted_one(settings):
    straight, first, second = (learner(**settings) for _ in range(3))
    for epoch in (1, 2):
        straight.train_epoch(batches(), epoch)
    first.train_epoch(batches(), 1)
    second.load_state_dict(first.state_dict())
    second.train_epoch(batches(), 2)
    states = straight.network.state_dict(), second.network.state_dict()
    assert all(torch.equal(a, b) for a, b in zip(*(state.values() for state in states), strict=True))


def test_nothing_is_folded_when_the_output_of_a_convolution_is_also_read_elsewhere():
    """Even in a new network, whose normalisations do nothing as yet."""

    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, images):
            maps = self.conv(images)
            return (maps + self.norm(maps)).mean((2, 3))

    subject = Backbone()
    subject.features = subject.forward
    assert foldable_pairs(subject, 16) == []


def gradients(network, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    network.zero_grad()
    loss = nn.functional.cross_entropy(network(images).logits, labels)
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ["resnet20", "plain20", "mobilenet_v2", "densenet40_k12"])
def test_loss_and_gradients_are_those_of_the_network_itself(name):
    network = made_network(name, 32).eval().double()
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
    network = made_network(image_size_px=32).eval()
    assert len(foldable_pairs(network, 32)) == 19  # the first convolution and two in each of nine blocks


def test_a_normalisation_that_adapts_is_left_alone():
    network = made_network(image_size_px=32).eval()
    pairs = foldable_pairs(network, 32)
    network.train()
    before = network.get_submodule(pairs[0][1]).running_mean.clone()
    with folded(network, pairs):
        network(torch.randn(4, 3, 32, 32))
    assert not torch.equal(network.get_submodule(pairs[0][1]).running_mean, before)


def test_nothing_of_the_folding_remains_also_after_an_error():
    network = made_network(image_size_px=32).eval()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(RuntimeError, match="stop"), folded(network, foldable_pairs(network, 32)):
        raise RuntimeError("stop")
    assert not any("forward" in vars(module) for module in network.modules())
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())


def test_the_mode_of_the_network_is_kept_by_the_search_for_pairs():
    network = made_network(image_size_px=32).eval()
    network.train()
    foldable_pairs(network, 32)
    assert network.training
