"""The features that onnxruntime computes: the same as torch's, or none."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.made_up_networks import options
from vision2.basics.errors import UserError
from vision2.data.dataset import Split
from vision2.data.store.image_sources import TensorImages
from vision2.features import engine as subject
from vision2.features import settings
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


def made_up_split():
    pixels = torch.randint(0, 256, (5, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    return Split("train", np.zeros(5, dtype=np.int64), tuple("abcde"), TensorImages(pixels))


def features_by_maker(folder):
    network = build_model(MODEL, 2, seed=0).eval()
    network.preprocessing = network.preprocessing.at_size(SIZE)
    maker = FeatureMaker(network, MODEL, [LAST], folder=folder)
    return maker.features(made_up_split())[LAST], maker


@pytest.fixture
def no_packages(monkeypatch):
    for module in (subject, settings):
        monkeypatch.setattr(module, "installed", lambda: False)


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
    for module in (subject, settings):
        monkeypatch.setattr(module, "installed", lambda: True)
    monkeypatch.setattr(subject, "_export", lambda *_: b"")
    return sessions


def made_engine(file=None, wanted="onnxruntime", count=5):
    return subject.onnx_engine(cut(), images(), count, file=file, wanted=wanted)


@pytest.mark.parametrize("option", ["resnet20", "plain20", "densenet40_k12", "mobilenet_v2_small", "smallinception"])
def test_features_equal_torchs_whatever_the_batch_size(option, packages):
    module = cut(options()[option])
    made = subject.onnx_engine(module, images(), 5, file=None, wanted="onnxruntime")
    with torch.no_grad():
        for part in (images(), images()[:1]):
            (expected,), (found,) = module(part), made(part)
            assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_two_layers_are_exported_in_one_file_and_the_network_stays_in_evaluation_mode(packages):
    module = cut(layers=["layer1", LAST])
    made = subject.onnx_engine(module, images(), 5, file=None, wanted="onnxruntime")
    assert [rows.shape for rows in made(images())] == [(5, 16), (5, 64)]
    assert not any(part.training for part in module.modules())


def wrong_features():
    with torch.no_grad():
        return [(1.001 * cut()(images()[: subject.CHECKED])[0]).numpy()]


def not_finite():
    return [np.full((subject.CHECKED, 64), np.nan, dtype=np.float32)]


def wrong_shape():
    return [np.zeros((1, 64), dtype=np.float32)]


def raises():
    raise RuntimeError("this operation is not supported")


@pytest.mark.parametrize("answer", [wrong_features, not_finite, wrong_shape, raises])
def test_a_runtime_that_raises_or_differs_leaves_the_features_to_torch(answer, broken_runtime, tmp_path, monkeypatch):
    broken_runtime.answer = answer
    assert made_engine(tmp_path / "export.onnx") is None
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(settings.VARIABLE, "onnxruntime")
    found, maker = features_by_maker(None)
    monkeypatch.setenv(settings.VARIABLE, "torch")
    assert maker.engines == {"torch"} and torch.equal(found, features_by_maker(None)[0])


def test_without_the_packages_torch_computes_the_features(no_packages, tmp_path):
    assert made_engine(tmp_path / "export.onnx", "auto", 10**9) is None
    assert features_by_maker(tmp_path)[1].engines == {"torch"}


def test_asking_for_a_missing_package_or_an_unknown_engine_is_explained(no_packages, monkeypatch):
    for value, words in (("onnxruntime", "pip install"), ("onnx", "must be auto, onnxruntime or torch")):
        monkeypatch.setenv(settings.VARIABLE, value)
        with pytest.raises(UserError, match=words):
            settings.wanted_engine()


def test_a_stored_export_is_used_again_and_a_damaged_one_is_made_again(packages, tmp_path, monkeypatch):
    file = tmp_path / "export.onnx"
    made_engine(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert made_engine(file) is not None and len(file.read_bytes()) == len(whole)
    monkeypatch.setattr(subject, "_export", lambda *_: pytest.fail("exported again"))
    assert made_engine(file, "auto", 1) is not None


def test_an_export_of_other_weights_is_not_used(packages, tmp_path):
    file = tmp_path / "export.onnx"
    subject.onnx_engine(
        subject.Cut(build_model(MODEL, 2, seed=1).eval(), [LAST], "pooled"), images(), 5, file=file, wanted="onnxruntime"
    )
    with torch.no_grad():
        expected = cut()(images())[0]
    assert torch.allclose(made_engine(file)(images())[0], expected, atol=1e-4)


def test_few_images_are_not_worth_an_export_and_many_are(packages):
    assert made_engine(wanted="auto", count=subject.PAYS_FROM_IMAGES) is None
    assert made_engine(wanted="auto", count=100_000) is not None


def test_torch_computes_the_features_on_request_even_if_an_export_is_stored(packages, tmp_path):
    file = tmp_path / "export.onnx"
    made_engine(file)
    assert made_engine(file, "torch") is None


def test_features_of_one_engine_are_found_by_the_other(packages, tmp_path, monkeypatch):
    monkeypatch.setenv(settings.VARIABLE, "onnxruntime")
    found, maker = features_by_maker(tmp_path)
    assert maker.engines == {"onnxruntime"} and len(list(tmp_path.glob("*.onnx"))) == 1
    monkeypatch.setenv(settings.VARIABLE, "torch")
    again, maker = features_by_maker(tmp_path)
    assert maker.images_computed == 0 and torch.equal(found, again)


def test_features_in_bfloat16_are_torchs_and_both_engines_are_named(packages, monkeypatch):
    monkeypatch.setenv(settings.VARIABLE, "onnxruntime")
    _, maker = features_by_maker(None)
    maker.features(made_up_split(), precision="bfloat16")
    assert maker.engines == {"onnxruntime", "torch"}
