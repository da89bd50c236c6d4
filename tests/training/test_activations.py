"""Activations are trained without a copy of their input: equal outputs and gradients, and nothing left behind."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.training.activations import uncopied

COPYING = [nn.ReLU6, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Mish, nn.SiLU]


def gradients(network, images):
    outputs = network(images)
    (outputs * torch.linspace(0, 1, outputs.numel()).reshape(outputs.shape)).sum().backward()
    return outputs.detach(), [parameter.grad.clone() for parameter in network.parameters()]


def layers(activation):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 6), activation(inplace=True), nn.Linear(6, 3))


@pytest.mark.parametrize("activation", COPYING)
def test_results_and_gradients_are_those_of_the_module_itself(activation):
    expected, found, images = layers(activation), layers(activation), 10 * torch.randn(8, 6)
    with uncopied(found):
        results = gradients(found, images)
    for a, b in zip(gradients(expected, images), results, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("activation", COPYING)
def test_nothing_is_copied_in_the_forward_pass(activation):
    network, images = layers(activation), torch.randn(8, 6)
    with uncopied(network), profile(activities=[ProfilerActivity.CPU]) as profiled:
        network(images)
    assert "aten::clone" not in {event.key for event in profiled.key_averages()}


def test_the_gradient_is_zero_at_the_limits_of_relu6():
    """The derivative that torch.nn.functional.relu6 has: 1 between 0 and 6, and 0 elsewhere, limits included."""
    module, values = nn.ReLU6(inplace=True), torch.tensor([-1.0, 0.0, 3.0, 6.0, 7.0], requires_grad=True)
    with uncopied(module):
        module(values * 1).sum().backward()
    assert values.grad.tolist() == [0, 0, 1, 0, 0]


def test_modules_are_as_before_afterwards_even_after_an_error():
    network = nn.Sequential(nn.ReLU6(inplace=True), nn.SiLU(inplace=True), nn.ReLU(inplace=True))
    before = [dict(vars(module)) for module in network]
    with pytest.raises(ValueError), uncopied(network):
        raise ValueError
    assert [dict(vars(module)) for module in network] == before


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "resnet20"])
def test_whole_networks_have_the_same_gradients(name):
    expected = build_model(ModelConfig(name), 3, seed=0, image_size_px=32).double().eval()
    found, images = copy.deepcopy(expected), torch.randn(2, 3, 32, 32, dtype=torch.float64)
    for network in (expected, found):
        network.forward = lambda batch, network=network: network.classify(network.features(batch)).logits
    with uncopied(found):
        results = gradients(found, images)
    torch.testing.assert_close(gradients(expected, images), results, rtol=1e-12, atol=1e-12)
