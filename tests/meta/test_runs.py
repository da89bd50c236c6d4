"""Runs on data that are split by class: the same test episodes for every method, and all that other runs do."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from made_up_images import write_images

from vision2.basics.errors import UserError
from vision2.config.compose import compose_config, load_config
from vision2.config.saved import config_of_checkpoint, config_of_run
from vision2.experiment import run
from vision2.export import main as export
from vision2.jobs.evaluate import evaluate
from vision2.predict import main as predict
from vision2.runs.records import RunRecord
from vision2.training.checkpoint import load_checkpoint

TINY = [
    "model=conv4", "model.width=0.1", "dataset=digits", "dataset.split_by=class", "dataset.test_fraction=0.3",
    "dataset.image_size_px=16", "device=cpu", "train.warmup_epochs=0", "train.epochs=2", "train.batch_size=64",
    "episodes.test_episodes=20", "episodes.val_episodes=10", "episodes.shot=[1,2]", "episodes.query=3",
]  # fmt: skip
EPISODIC = ["strategy.train_way=3", "strategy.episodes_per_epoch=4"]
METHODS = {
    "protonet": EPISODIC,
    "matching": EPISODIC,
    "fomaml": [*EPISODIC, "strategy.inner_steps=2", "train.accumulate=2"],
    "scratch": ["dataset.fraction=0.1"],
    "feature_extraction": ["strategy.pretrained=false"],
}


def completed(folder, strategy, *words) -> dict:
    folder.mkdir(exist_ok=True)
    return run(load_config([*TINY, f"strategy={strategy}", *METHODS[strategy], *words]), lambda: folder, "")


@pytest.fixture(scope="module", params=METHODS)
def finished(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, completed(folder, request.param)


def test_a_run_reports_each_kind_of_episode_with_its_interval(finished):
    _, folder, summary = finished
    test = summary["metrics"]["test"]
    with np.load(folder / "episodes.npz", allow_pickle=False) as kept:
        assert sorted(kept) == ["3-way_1-shot", "3-way_2-shot"]
        for key in kept:
            values = kept[key]
            half = 2.093 * values.std(ddof=1) / np.sqrt(20)  # Student's t, 19 degrees of freedom
            assert test[key]["accuracy"] == pytest.approx(values.mean())
            assert test[key]["accuracy_low"] == pytest.approx(max(0, values.mean() - half), abs=1e-3)
            assert np.allclose(values * 9, (values * 9).round(), atol=1e-5)  # 3 classes with 3 queries
    assert test["accuracy"] == test["3-way_1-shot"]["accuracy"]
    assert set(RunRecord(folder).split()["new_classes"]).isdisjoint(summary["classes"])


def test_evaluating_the_checkpoint_gives_the_result_of_the_run(finished):
    _, folder, summary = finished
    words = ["mode=eval", f"checkpoint={folder / 'best.pt'}", "device=cpu"]
    config = config_of_checkpoint(load_checkpoint(folder)["config"], compose_config(words), words)
    assert evaluate(config)["metrics"] == {split: summary["metrics"][split] for split in ("val", "test")}


def test_a_network_without_classes_is_neither_used_to_predict_nor_exported_nor_evaluated_on_images(tmp_path, capsys):
    completed(tmp_path / "run", "feature_extraction")
    refused = "was trained to compare images and has no classes of its own; give predict a folder"
    write_images(tmp_path / "new", ["1.jpg"])
    for command, word in ((export, "format=torch_export"), (predict, f"images={tmp_path / 'new'}")):
        assert command([f"checkpoint={tmp_path / 'run'}", word]) == 2
        assert refused in capsys.readouterr().err
    words = ["mode=eval", f"checkpoint={tmp_path / 'run'}", "device=cpu", "dataset=digits"]
    config = config_of_checkpoint(load_checkpoint(tmp_path / "run")["config"], compose_config(words), words)
    with pytest.raises(UserError, match=refused):
        evaluate(config)


def test_every_method_is_measured_on_the_same_episodes(tmp_path):
    """Untrained networks with the same seed are the same, so their accuracies are too, whatever they would learn."""
    words = ("train.epochs=0", "strategy.distance=euclidean", "dataset.fraction=1.0")
    untrained = [completed(tmp_path / name, name, *words) for name in ("scratch", "protonet")]
    untrained.append(completed(tmp_path / "frozen", "feature_extraction"))
    assert len({json.dumps(summary["metrics"]["test"]) for summary in untrained}) == 1
    other = completed(tmp_path / "seed", "feature_extraction", "seed=1")
    assert other["metrics"]["test"] != untrained[0]["metrics"]["test"]


@pytest.mark.parametrize("strategy", ["protonet", "fomaml"])
def test_a_resumed_run_equals_the_uninterrupted_one(strategy, tmp_path):
    straight = completed(tmp_path / "straight", strategy, "train.schedule_epochs=2")
    completed(tmp_path / "stopped", strategy, "train.schedule_epochs=2", "train.epochs=1")
    resumed = run(config_of_run(str(tmp_path / "stopped"), ["train.epochs=2"]), lambda: tmp_path / "stopped", "")
    a, b = (load_checkpoint(tmp_path / name / "last.pt")["model"] for name in ("straight", "stopped"))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert resumed["metrics"] == straight["metrics"]


def test_episodic_training_improves_on_the_untrained_network(tmp_path):
    words = ("strategy.episodes_per_epoch=40", "strategy.train_way=5", "strategy.lr=0.01")
    before = completed(tmp_path / "before", "protonet", *words, "train.epochs=0")["metrics"]["test"]["accuracy"]
    after = completed(tmp_path / "after", "protonet", *words, "model.width=0.25")["metrics"]["test"]["accuracy"]
    assert after > before


def test_tensorboard_shows_an_episode_and_the_features_of_new_classes_before_and_after_training(tmp_path, draws_pictures):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    completed(tmp_path / "run", "protonet", "train.epochs=1")
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert "episode/test" in events.Tags()["images"]
    assert {path.name for path in (tmp_path / "run" / "00000").iterdir()} == {"features", "features_before"}


def test_pixels_have_nothing_to_learn(tmp_path):
    summary = completed(tmp_path / "pixels", "feature_extraction", "model=pixels", "model.width=1")
    assert summary["parameters"] == 0
    assert summary["metrics"]["test"]["accuracy"] > 1 / 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["episodes.way=[4]"], r"episodes\.way=4: the test split has 3 classes; set episodes\.way to a number from 2 to 3"),
        (["episodes.shot=[200]"], r"episodes\.shot=200 and episodes\.query=3 need 203 images of each class"),
        (["strategy.train_way=9"], r"strategy\.train_way=9: the train split has 5 classes"),
        (["model=pixels", "model.width=1"], r"pixels has no weights that strategy=protonet could train; use model=conv4"),
        (["dataset.augment.mixup=0.2"], "strategy=protonet compares whole images; leave out dataset.augment.mixup"),
    ],
)
def test_impossible_episodes_are_refused_before_a_run_folder_is_made(words, sentence):
    config = load_config([*TINY, "strategy=protonet", *EPISODIC, *words])
    with pytest.raises(UserError, match=sentence):
        run(config, lambda: pytest.fail("claimed"), "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["strategy=protonet"], "add dataset.split_by=class, or use dataset=omniglot"),
        (["episodes.way=[5]"], r"episodes\.way=\[5\] needs a data set that is split by class; add dataset\.split_by=class"),
        (["strategy=matching", "dataset.split_by=class", "train.sampler=balanced"], "train.sampler=balanced cannot be used"),
        (["dataset.split_by=class", "episodes.way=[1]"], r"episodes\.way is \[1\]; it must be a list of numbers of at least 2"),
    ],
)
def test_settings_that_contradict_episodes_are_refused(words, sentence):
    with pytest.raises(UserError, match=sentence):
        load_config(["dataset=digits", *words])
