"""The features that onnxruntime computes: the same as torch's, or none."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.made_up_networks import cheap_network, options
from vision2.data.dataset import Split
from vision2.data.store.image_sources import TensorImages
from vision2.features import engine as subject
from vision2.features.compute import FeatureMaker
from vision2.models.build import build_model
from vision2.models.cut import LAST
from vision2.models.settings import ModelConfig

SIZE = 32
MODEL = ModelConfig("resnet20")


def images(count=5):
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def cut(model=MODEL, layers=(LAST,)):
    return subject.Cut(build_model(model, 2, seed=0).eval(), list(layers), "pooled")


def features_by_maker(folder):
    pixels = torch.randint(0, 256, (5, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    network = build_model(MODEL, 2, seed=0).eval()
    network.preprocessing = network.preprocessing.at_size(SIZE)
    maker = FeatureMaker(network, MODEL, [LAST], folder=folder)
    split = Split("train", np.zeros(5, dtype=np.int64), tuple("abcde"), TensorImages(pixels))
    return maker.features(split)[LAST], maker


@pytest.fixture
def no_packages(monkeypatch):
    monkeypatch.setattr(subject, "installed", lambda: False)


@pytest.fixture
def packages():
    pytest.importorskip("onnx")
    return pytest.importorskip("onnxruntime")


@pytest.fixture
def broken_runtime(monkeypatch):
    """A package onnxruntime whose sessions answer with what `answer` returns; the export is not made."""
    sessions = SimpleNamespace(answer=None)

    class Session:
        def __init__(self, *_arguments, **_settings):
            pass

        def run(self, _names, _inputs):
            return sessions.answer()

    class Options:
        def add_session_config_entry(self, *_entry):
            pass

    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(SessionOptions=Options, InferenceSession=Session))
    monkeypatch.setattr(subject, "installed", lambda: True)
    monkeypatch.setattr(subject, "_export", lambda *_: b"")
    return sessions


@pytest.mark.parametrize("option", ["resnet20", "densenet40", "mobilenet_v2", "vit_tiny", "inception_v4"])
def test_features_equal_torchs_whatever_the_batch_size(option, packages):
    if option not in options():
        pytest.skip(f"no option {option}")
    network = build_model(options()[option], 2, seed=0).eval() if option == "resnet20" else None
    size = SIZE if option != "inception_v4" else 96
    network = network or cheap_network(options()[option], 2, size).eval()
    module = subject.Cut(network, [LAST], "pooled")
    batch = torch.randn(5, 3, size, size, generator=torch.Generator().manual_seed(1))
    made = subject.onnx_engine(module, batch, len(batch), file=None, wanted="onnxruntime")
    assert made is not None
    with torch.no_grad():
        for part in (batch, batch[:1]):
            (expected,), (found,) = module(part), made(part)
            assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
