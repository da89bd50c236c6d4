"""The number format and device of a run, on simulated processors."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vision2.basics.errors import UserError
from vision2.training import precision
from vision2.training.precision import choose_device, choose_precision

CPU = torch.device("cpu")


@pytest.fixture
def processor(monkeypatch):
    """Simulate a processor on which bfloat16 is faster; returns the list of formats that were timed."""
    timed = []

    def seconds(network, device, name, image_size_px):
        timed.append(name)
        return {"float32": 2.0, "bfloat16": 1.0}[name]

    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "_seconds_per_step", seconds)
    return timed


def test_auto_takes_the_faster_format_and_float32_where_bfloat16_is_emulated(processor, monkeypatch):
    assert choose_precision("auto", nn.Linear(2, 2), CPU, 224) == "bfloat16"
    assert choose_precision("auto", nn.Linear(2, 2), CPU, 32) == "float32"  # too small to benefit
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: False)
    assert choose_precision("auto", nn.Linear(2, 2), CPU, 224) == "float32"


def test_formats_are_timed_once_per_network_and_the_result_is_kept(processor, tmp_path):
    memory = tmp_path / "remembered"
    first = [choose_precision("auto", nn.Linear(2, 2), CPU, 224, memory=memory) for _ in range(3)]
    assert first == ["bfloat16"] * 3
    assert len(processor) == 2
    choose_precision("auto", nn.Linear(3, 2), CPU, 224, memory=memory)
    assert len(processor) == 4


def test_an_explicit_format_is_used_and_float16_is_refused_on_a_cpu():
    assert choose_precision("float32", nn.Linear(2, 2), CPU, 224) == "float32"
    with pytest.raises(UserError, match="float16 cannot be used for training on a CPU"):
        choose_precision("float16", nn.Linear(2, 2), CPU, 224)


def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch):
    monkeypatch.setattr(torch, "empty", lambda *_, device: None)
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert choose_device("auto").type == expected


def test_an_unavailable_device_is_refused():
    with pytest.raises(UserError, match="device=nonsense is not available here"):
        choose_device("nonsense")
