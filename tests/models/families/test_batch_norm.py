"""model.batch_norm=false: the same convolutions with biases instead of batch norm."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from vision2.basics.errors import UserError
from vision2.models.build import build_model
from vision2.models.cards import card_for
from vision2.models.settings import ModelConfig


@pytest.mark.parametrize("name", ["plain20", "resnet20", "resnet50", "smallinception", "smallinception_naive"])
def test_without_batch_norm_each_channel_has_a_bias_instead(name):
    aux = name.startswith("small")
    with_norm, without = (
        build_model(ModelConfig(name=name, aux=aux, batch_norm=norm), 10, seed=0).backbone for norm in (True, False)
    )
    channels = sum(module.num_features for module in with_norm.modules() if isinstance(module, nn.BatchNorm2d))
    convolutions = [[m.weight for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (with_norm, without)]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in without.modules())
    assert [weight.shape for weight in convolutions[0]] == [weight.shape for weight in convolutions[1]]
    assert sum(m.bias.numel() for m in without.modules() if isinstance(m, nn.Conv2d)) == channels


def test_a_network_without_the_switch_is_refused():
    with pytest.raises(UserError, match=r"vgg16 does not accept model\.batch_norm=false; leave it out"):
        card_for(ModelConfig(name="vgg16", batch_norm=False))


def test_without_batch_norm_nothing_published_is_shown():
    card = card_for(ModelConfig(name="resnet18", batch_norm=False))
    assert (card.parameters, card.top1_percent, card.weights, card.variant) == (None, None, (), ("batch_norm=false",))


def test_auxiliary_classifiers_bring_gradient_to_the_first_layers_of_a_deep_network_without_batch_norm():
    stream = torch.Generator().manual_seed(0)
    images, labels = torch.randn(16, 3, 16, 16, generator=stream), torch.arange(16) % 4

    def stem_gradient(aux: bool) -> float:
        network = build_model(ModelConfig(name="smallinception", aux=aux, batch_norm=False), 4, seed=0).train()
        output = network(images)
        losses = [cross_entropy(logits, labels) for logits in (output.logits, *output.aux.values())]
        (losses[0] + 0.3 * sum(losses[1:])).backward()
        return float(network.backbone.stem[0].weight.grad.norm())

    assert stem_gradient(aux=True) > 2 * stem_gradient(aux=False)
