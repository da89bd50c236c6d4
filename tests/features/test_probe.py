"""Runs of feature extraction: they predict, evaluate and resume, and never run the backbone twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from vision2.basics.errors import UserError
from vision2.config.compose import load_config
from vision2.config.saved import config_of_run
from vision2.experiment import run
from vision2.features.compute import FeatureMaker
from vision2.inference.load_network import trained_of_checkpoint
from vision2.jobs.evaluate import evaluate
from vision2.runs.records import RunRecord
from vision2.training.checkpoint import load_checkpoint

TINY = ["dataset.fraction=0.3", "device=cpu", "dataset.image_size_px=16", "train.epochs=2", "train.warmup_epochs=0"]
CLASSIFIERS = ("linear", "logistic", "svm", "knn", "centroid", "centroid_cosine", "ridge", "lda", "mlp")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A network trained briefly on digits, from which all tests transfer."""
    folder = tmp_path_factory.mktemp("source")
    run(load_config([*TINY, "train.batch_size=32", "strategy.lr=0.05"]), lambda: folder, "the source's command")
    return folder


@pytest.fixture(autouse=True)
def one_cache(tmp_path_factory, monkeypatch):
    """The tests of this file share a cache of features."""
    monkeypatch.setenv("VISION2_CACHE", str(tmp_path_factory.getbasetemp() / "features-cache"))


@pytest.fixture(autouse=True)
def pictures(request):
    """One test per kind of head draws its figures."""
    if any(f"[{name}]" in request.node.name for name in ("linear", "knn")):
        request.getfixturevalue("draws_pictures")


def extracted(source, folder, *words):
    folder.mkdir(exist_ok=True)
    words = [*TINY, "strategy=feature_extraction", f"strategy.source={source}", *words]
    return run(load_config(words), lambda: folder, "the command")


def count_images(monkeypatch) -> list[int]:
    """The number of images that each computation of features passes through the backbone."""
    counts, original = [], FeatureMaker._compute

    def counted(self, split, *args):
        counts.append(len(split))
        return original(self, split, *args)

    monkeypatch.setattr(FeatureMaker, "_compute", counted)
    return counts


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_every_classifier_is_a_complete_run_whose_checkpoint_evaluates_the_same(classifier, source, tmp_path):
    folder = tmp_path / classifier
    summary = extracted(source, folder, f"strategy.classifier={classifier}", "strategy.lr=0.03")
    assert summary["metrics"]["test"]["accuracy"] > 0.3  # chance is 0.1; the source was trained for two epochs on 387 images
    assert summary["classifier"]["name"] == classifier
    again = evaluate(load_config(["mode=eval", f"checkpoint={folder}", "dataset.image_size_px=16", "device=cpu"]))
    assert again["metrics"]["test"]["accuracy"] == pytest.approx(summary["metrics"]["test"]["accuracy"], abs=0.003)
    assert again["metrics"]["test"]["loss"] == pytest.approx(summary["metrics"]["test"]["loss"], rel=1e-2)


def test_the_frozen_part_is_bit_identical_to_the_source(source, tmp_path):
    extracted(source, tmp_path / "run")
    before, after = (load_checkpoint(folder)["model"] for folder in (source, tmp_path / "run"))
    body = [name for name in before if name.startswith("backbone.")]
    assert all(torch.equal(before[name], after[name]) for name in body)
    assert not torch.equal(before["head.weight"], after["head.weight"])


def test_a_linear_head_on_the_last_layer_makes_an_ordinary_network(source, tmp_path):
    extracted(source, tmp_path / "run")
    network = trained_of_checkpoint(str(tmp_path / "run"), torch.device("cpu")).network
    assert type(network.head) is nn.Linear
    assert set(network.state_dict()) == set(load_checkpoint(source)["model"])


def test_another_classifier_seed_or_subset_never_runs_the_backbone(source, tmp_path, monkeypatch):
    extracted(source, tmp_path / "first", "dataset.fraction=1.0")
    counts = count_images(monkeypatch)
    for number, words in enumerate((["strategy.classifier=ridge"], ["seed=7"], ["dataset.fraction=0.1"])):
        extracted(source, tmp_path / str(number), *words)
    assert counts == []
    extracted(source, tmp_path / "other", "strategy.layer=layer2")
    assert sum(counts) > 0


def test_throughput_on_stored_features_is_not_recorded_as_that_of_images(source, tmp_path, capsys):
    summary = extracted(source, tmp_path / "stored", "strategy.classifier=linear")
    assert summary["images_per_second"] is None
    (record, *_) = RunRecord(tmp_path / "stored").history()
    assert "images_per_second" not in record
    assert record["features_per_second"] > 0
    assert " features/s" in capsys.readouterr().out
    scalars = EventAccumulator(str(tmp_path / "stored")).Reload().Tags()["scalars"]
    assert ("speed/images_per_second" in scalars, "speed/features_per_second" in scalars) == (False, True)
    whole = extracted(source, tmp_path / "images", "strategy.classifier=linear", "strategy.features=every_epoch")
    assert whole["images_per_second"] > 0


def test_a_resumed_linear_run_equals_the_uninterrupted_one(source, tmp_path):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    whole = extracted(source, straight, "train.epochs=3", "train.schedule=constant")
    extracted(source, stopped, "train.epochs=1", "train.schedule=constant")
    resumed = run(config_of_run(str(stopped), ["train.epochs=3"]), lambda: stopped, "")
    for name in ("best.pt", "last.pt"):
        a, b = load_checkpoint(straight / name)["model"], load_checkpoint(stopped / name)["model"]
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert resumed["metrics"] == whole["metrics"]


@pytest.mark.parametrize("classifier", ["knn", "svm"])
def test_resuming_a_fitted_classifier_fits_nothing_again(classifier, source, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    whole = extracted(source, folder, f"strategy.classifier={classifier}")
    monkeypatch.setattr("vision2.features.probe.fit_classifier", None)
    resumed = run(config_of_run(str(folder), []), lambda: folder, "")
    assert resumed["metrics"] == whole["metrics"]
    assert resumed["classifier"] == whole["classifier"]
    assert RunRecord(folder).history() == []


def test_several_layers_give_a_curve_and_the_best_on_validation_is_used(source, tmp_path):
    words = ("strategy.classifier=ridge", "strategy.layer=layer1+layer2+last")
    summary = extracted(source, tmp_path / "run", *words)
    curve = summary["classifier"]["layers"]
    assert [row["layer"] for row in curve] == ["layer1", "layer2", "last"]
    best = max(curve, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert summary["classifier"]["layer"] == best["layer"]
    assert summary["metrics"]["val"]["accuracy"] == pytest.approx(best["val_accuracy"])
    assert not [key for row in curve for key in row if "test" in key]  # only the chosen layer is tested
    written = json.loads(Path(tmp_path / "run" / "summary.json").read_text())
    assert written["classifier"]["layers"] == curve


def test_views_multiply_the_training_features(source, tmp_path, monkeypatch):
    counts = count_images(monkeypatch)
    extracted(source, tmp_path / "run", "strategy.views=3", "strategy.layer=layer3", "strategy.classifier=centroid")
    images = len(RunRecord(tmp_path / "run").split()["splits"]["train"]["ids"])
    assert counts[:3] == [images] * 3


def test_more_neighbours_than_images_are_refused(source, tmp_path):
    words = ("strategy.classifier=knn", "strategy.neighbors=100000")
    with pytest.raises(UserError, match="more than the 387 training images"):
        extracted(source, tmp_path / "run", *words)


def test_an_unknown_layer_is_refused_before_anything_is_written(source, tmp_path):
    with pytest.raises(UserError, match=r"no layer 'layerr2', did you mean 'layer2'\?"):
        extracted(source, tmp_path / "run", "strategy.layer=layerr2")
    assert not list((tmp_path / "run").iterdir())


def test_a_fixed_setting_is_recorded_and_refused_where_there_is_nothing_to_fix(source, tmp_path):
    summary = extracted(source, tmp_path / "run", "strategy.classifier=ridge", "strategy.selection=fixed")
    assert summary["classifier"]["chosen"] == {"alpha": 1000.0}
    for words, sentence in (
        (["strategy.classifier=linear"], "selection=fixed needs a classifier that is fitted at once"),
        (["strategy.layer=layer1+last"], r"selection=fixed does not choose among the layers of strategy.layer=layer1\+last"),
    ):
        with pytest.raises(UserError, match=sentence):
            extracted(source, tmp_path / "refused", "strategy.selection=fixed", *words)


def test_settings_of_stored_features_are_refused_without_them(source):
    words = ["strategy=feature_extraction", f"strategy.source={source}", "strategy.features=every_epoch"]
    with pytest.raises(UserError) as error:
        load_config([*words, "strategy.layer=layer2", "strategy.views=3"])
    assert error.value.problems == tuple(
        f"strategy.{given} needs strategy.features=once (with features=every_epoch it must be {usual})"
        for given, usual in (("classifier=logistic", "linear"), ("layer=layer2", "last"), ("views=3", "1"))
    )
