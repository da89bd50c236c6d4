"""Peak memory equals what follows from the shapes; all numbers are bytes of float32."""

from __future__ import annotations

import importlib
import sys

import pytest
import torch
from torch import nn

from vision2.profiling import dispatch, memory
from vision2.profiling.memory import LiveTensors, peak_tensor_mb

IMAGES, WEIGHTS, OUTPUTS = 4 * 64 * 1000, 4 * 1000 * 500, 4 * 64 * 500


@pytest.fixture
def linear():
    return nn.Linear(1000, 500, bias=False), torch.ones(64, 1000)


def test_inference_holds_the_weights_the_input_and_the_output(linear):
    layer, images = linear
    with torch.inference_mode():
        assert peak_tensor_mb(lambda: layer(images), [images, layer.weight]) == (IMAGES + WEIGHTS + OUTPUTS) / 1e6


def test_a_training_step_holds_weights_gradients_and_momentum_once(linear):
    layer, images = linear
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)

    def step():
        layer(images).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    peak = 1e6 * peak_tensor_mb(step, [images, layer.weight])
    assert 3 * WEIGHTS + IMAGES <= peak <= 3 * WEIGHTS + IMAGES + 16  # the loss and its gradient are one value each


def test_what_autograd_keeps_for_the_backward_pass_counts_until_then(linear):
    layer, images = linear
    deep = nn.Sequential(layer, *(nn.Sigmoid() for _ in range(5)))
    with LiveTensors([images, layer.weight]) as watched:
        loss = deep(images).sum()
        assert watched.live_bytes == IMAGES + WEIGHTS + 5 * OUTPUTS + 4  # a sigmoid keeps its output, not its input
        loss.backward()
        del loss
    assert watched.live_bytes == IMAGES + 2 * WEIGHTS


def test_views_and_in_place_operations_take_no_memory(linear):
    layer, images = linear
    with LiveTensors([images, layer.weight, images]) as watched:
        images.view(-1).add_(1)
        images[:32].relu_()
    assert watched.peak_bytes == watched.live_bytes == IMAGES + WEIGHTS


def test_without_torchs_dispatch_class_memory_is_unknown_and_nothing_breaks(linear, monkeypatch):
    layer, images = linear
    monkeypatch.setitem(sys.modules, "torch.utils._python_dispatch", None)
    try:
        importlib.reload(dispatch)
        importlib.reload(memory)
        assert memory.peak_tensor_mb(lambda: layer(images), [images, layer.weight]) is None
    finally:
        monkeypatch.undo()
        importlib.reload(dispatch)
        importlib.reload(memory)
