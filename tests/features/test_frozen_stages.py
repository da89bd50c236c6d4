"""Fine-tuning the last stages on stored outputs of the frozen ones: the same training, without running them again."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch

from vision2.config.compose import load_config
from vision2.experiment import run
from vision2.features.compute import FeatureMaker
from vision2.features.frozen_stages import _stored_shape, remainder
from vision2.models.build import build_model
from vision2.models.cut import layer_outputs
from vision2.models.settings import ModelConfig
from vision2.training.checkpoint import load_checkpoint

TINY = ["dataset.fraction=0.1", "dataset.eval_fraction=0.3", "device=cpu", "dataset.image_size_px=16", "train.epochs=3"]
LAST_STAGES = [*TINY, "strategy=finetune", "strategy.unfreeze_from=layer3", "train.warmup_epochs=0", "strategy.lr=0.02"]
PLAIN = ["dataset.augment.crop=none", "dataset.augment.flip=false"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    run(load_config([*TINY, "train.epochs=1"]), lambda: folder, "the source's command")
    return f"strategy.source={folder}"


@pytest.fixture
def computed(monkeypatch):
    """The number of images of each computation of stored outputs."""
    counts, original = [], FeatureMaker._compute

    def counted(self, split, *args):
        counts.append(len(split))
        return original(self, split, *args)

    monkeypatch.setattr(FeatureMaker, "_compute", counted)
    return counts


def made_network(name, image_size_px):
    network = build_model(ModelConfig(name), 3, seed=0, image_size_px=image_size_px).eval()
    network.preprocessing = replace(network.preprocessing, image_size_px=image_size_px)
    return network


def trained(folder, *words):
    folder.mkdir(exist_ok=True)
    return run(load_config(list(words)), lambda: folder, "the command"), load_checkpoint(folder / "best.pt")


def test_training_is_the_same_but_the_frozen_stages_run_once(source, computed, tmp_path, monkeypatch):
    quick, best = trained(tmp_path / "stored", *LAST_STAGES, *PLAIN, source)
    assert len(computed) == 3  # training, validation and test, whatever the number of epochs
    monkeypatch.setattr("vision2.features.frozen_stages.MAX_BYTES", 0)
    whole, expected = trained(tmp_path / "whole", *LAST_STAGES, *PLAIN, source)
    assert len(computed) == 3
    assert quick["metrics"]["test"]["loss"] == pytest.approx(whole["metrics"]["test"]["loss"], rel=1e-3)
    for name, value in expected["model"].items():
        torch.testing.assert_close(best["model"][name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("words", [[*LAST_STAGES], [*LAST_STAGES, *PLAIN, "strategy.unfreeze_from=null"]])
def test_images_pass_through_the_whole_network_when_augmented_or_when_nothing_is_frozen(words, source, computed, tmp_path):
    trained(tmp_path / "run", *words, source)
    assert computed == []


def test_a_resumed_run_equals_an_uninterrupted_one(source, tmp_path):
    words = [*LAST_STAGES, *PLAIN, source, "train.schedule=constant"]
    _, expected = trained(tmp_path / "whole", *words)
    trained(tmp_path / "parts", *words, "train.epochs=2")
    _, found = trained(tmp_path / "parts", *words, f"resume={tmp_path / 'parts'}")
    assert all(torch.equal(found["model"][name], value) for name, value in expected["model"].items())


@pytest.mark.parametrize(
    ("name", "stage", "size"), [("resnet20", "layer2", 16), ("mobilenet_v2", "stage3", 32), ("alexnet", "block2", 63)]
)
def test_stored_outputs_determine_the_logits(name, stage, size):
    network = made_network(name, size)
    stages = list(network.stages)
    modules = [m for s in stages[: stages.index(stage) + 1] for m in network.stage_modules(s)]
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        shape = _stored_shape(network, stage, modules)
        rows = layer_outputs(network, [stage], images, "flattened")[0]
        assert rows.shape[1] == math.prod(shape)
        torch.testing.assert_close(remainder(network, modules, shape)(rows).logits, network(images).logits)


def test_a_network_whose_later_stages_read_an_earlier_output_is_not_shortened():
    network = made_network("resnet20", 16)
    backbone, forward = network.backbone, network.backbone.forward
    backbone.forward = lambda images: forward(images) + images.mean()
    modules = [m for stage in ("stem", "layer1") for m in network.stage_modules(stage)]
    assert _stored_shape(network, "layer1", modules) is None


def test_the_network_is_unchanged_after_a_pass_on_stored_outputs():
    network = made_network("resnet20", 16)
    before, images = copy.deepcopy(network), torch.randn(2, 3, 16, 16)
    modules = list(network.stage_modules("stem"))
    with torch.no_grad():
        shape = _stored_shape(network, "stem", modules)
        remainder(network, modules, shape)(torch.randn(2, shape.numel()))
        assert torch.equal(network(images).logits, before(images).logits)
