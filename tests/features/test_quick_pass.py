"""Evaluating and predicting through the fastest engine gives the outputs of the network itself, up to rounding."""

from __future__ import annotations

import pytest
import torch

from vision2.features import quick_pass as subject
from vision2.features.engine import PAYS_FROM_IMAGES
from vision2.features.settings import VARIABLE
from vision2.models.build import build_model
from vision2.models.heads import StandardizedLinear
from vision2.models.settings import ModelConfig


@pytest.fixture(params=["whole", "cut after layer2"])
def network(request):
    made = build_model(ModelConfig("resnet20"), 3, seed=0).eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(1))
    return made if request.param == "whole" else made.cut_at("layer2", "pooled", StandardizedLinear(32, 3)).eval()


def images():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
@pytest.mark.parametrize("count", [3, PAYS_FROM_IMAGES])
def test_outputs_are_those_of_the_network(network, engine, count, monkeypatch):
    if engine == "onnxruntime":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    monkeypatch.setenv(VARIABLE, engine)
    with torch.no_grad():
        expected = network(images()).logits
    torch.testing.assert_close(subject.QuickPass(network, count)(images()).logits, expected, rtol=1e-4, atol=1e-5)


def test_the_engine_is_chosen_once(network, monkeypatch):
    calls = []
    monkeypatch.setattr(subject, "onnx_engine", lambda *_, **__: calls.append(1))
    forward = subject.QuickPass(network, PAYS_FROM_IMAGES)
    assert forward(images()).logits.shape == forward(images()).logits.shape == (3, 3)
    assert len(calls) == 1
