"""Evaluating a checkpoint: all images of another folder, the run's own splits, files named after the data."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
from made_up_images import class_folders

from vision2.basics.errors import UserError
from vision2.config.compose import compose_config, load_config
from vision2.config.saved import config_of_checkpoint
from vision2.data.dataset import Split
from vision2.experiment import run
from vision2.jobs.evaluate import evaluate, in_classes_of
from vision2.runs.records import RunRecord
from vision2.training.checkpoint import load_checkpoint

TINY = ["dataset=folder", "dataset.image_size_px=16", "train.epochs=1", "train.batch_size=8", "strategy.lr=0.001", "device=cpu"]


def made(labels):
    return Split("test", np.array(labels), tuple(map(str, range(len(labels)))), None)


def test_classes_are_matched_by_name_and_may_be_missing():
    assert in_classes_of(made([0, 1, 1]), ["ant", "cow"], ["ant", "bee", "cow"]).labels.tolist() == [0, 2, 2]


def test_a_class_that_the_checkpoint_lacks_is_refused_in_one_sentence():
    with pytest.raises(UserError, match=r"dataset\.classes=.* selects some\), which lacks 'cows', did you mean 'cow'"):
        in_classes_of(made([0, 1]), ["ant", "cows"], ["ant", "cow"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(run folder, its photographs): 3 classes of 12 images."""
    root, folder = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("run")
    class_folders(root, ant=12, bee=12, cow=12)
    run(load_config([*TINY, f"dataset.root={root}"]), lambda: folder, "")
    return folder, root


def evaluated(folder, *overrides):
    words = ["mode=eval", f"checkpoint={folder}", *overrides]
    saved = load_checkpoint(folder)["config"]
    return evaluate(config_of_checkpoint(saved, compose_config(words), words))["metrics"]


def test_every_image_of_another_folder_is_evaluated(trained, tmp_path):
    class_folders(tmp_path, bee=7, ant=4)
    metrics = evaluated(trained[0], "dataset=folder", f"dataset.root={tmp_path}")
    assert {name: found["n"] for name, found in metrics.items()} == {"all": 11}


def test_a_folder_with_only_a_test_part_is_evaluated_on_it(trained, tmp_path):
    class_folders(tmp_path / "test", cow=5, ant=6)
    assert evaluated(trained[0], "dataset=folder", f"dataset.root={tmp_path}")["test"]["n"] == 11


def test_the_photographs_of_the_run_are_split_as_in_the_run_even_after_they_were_moved(trained, tmp_path):
    folder, root = trained
    expected = {name: len(split["ids"]) for name, split in RunRecord(folder).split()["splits"].items() if name != "train"}
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    for overrides in ((), (f"dataset.root={moved}",)):
        assert {name: found["n"] for name, found in evaluated(folder, *overrides).items()} == expected


def test_each_data_set_has_its_own_files_with_the_prediction_for_each_image(trained, tmp_path):
    folder = trained[0]
    before = set(folder.glob("evaluation-*"))
    for name in ("a", "b"):
        class_folders(tmp_path / name, bee=3, cow=2)
        evaluated(folder, "dataset=folder", f"dataset.root={tmp_path / name}")
    new = sorted(set(folder.glob("evaluation-*")) - before)
    assert [file.suffix for file in new].count(".json") == 2
    rows = list(csv.DictReader(next(file for file in new if file.suffix == ".csv").open()))
    assert len(rows) == 5
    assert {row["class"] for row in rows} == {"bee", "cow"}
    assert all(row["right"] == str(int(row["class"] == row["predicted"])) for row in rows)


def files_of(folder):
    return {file.name: file.read_bytes() for file in folder.glob("evaluation-*")}


def test_two_checkpoints_of_one_run_do_not_share_a_file(trained):
    folder = trained[0]
    evaluated(folder)
    before = files_of(folder)
    evaluated(folder / "last.pt")
    after = files_of(folder)
    assert before.items() <= after.items()
    assert [name.rpartition("-")[2] for name in sorted(after.keys() - before.keys())] == ["last.csv", "last.json"]
    evaluated(folder / "best.pt")
    assert files_of(folder).keys() == after.keys()


@pytest.mark.parametrize("labels", [("ant", "bee"), ("bee", "ant")])
def test_two_labellings_of_the_same_images_do_not_share_a_file(trained, tmp_path_factory, labels):
    folder, root = trained[0], tmp_path_factory.getbasetemp() / "labelled"
    class_folders(root, one=3, two=3)
    rows = [f"{name}/{index:04}.jpg,{label}" for name, label in zip(("one", "two"), labels, strict=True) for index in range(3)]
    (root / "list.csv").write_text("\n".join(["file,class", *rows]))
    before = files_of(folder)
    evaluated(folder, "dataset=folder", f"dataset.root={root / 'list.csv'}")
    assert len(files_of(folder)) == len(before) + 2


def test_a_setting_that_would_change_the_preprocessing_of_a_checkpoint_is_refused(trained):
    with pytest.raises(UserError, match=r"keeps the preprocessing of its checkpoint; leave out dataset\.resize"):
        evaluated(trained[0], "dataset.resize=pad")


def test_a_checkpoint_can_be_evaluated_after_its_source_run_is_gone(trained, tmp_path):
    source, root = trained
    copy, folder = tmp_path / "source", tmp_path / "run"
    shutil.copytree(source, copy)
    folder.mkdir()
    words = [*TINY, f"dataset.root={root}", "strategy=finetune", f"strategy.source={copy}"]
    run(load_config(words), lambda: folder, "")
    shutil.rmtree(copy)
    assert evaluated(folder)["test"]["n"] == 6
