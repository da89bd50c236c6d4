"""A finished run replaces a job only if settings, data and weights are the same."""

from __future__ import annotations

import json
import shutil

import pytest
from made_up_images import class_folders

from vision2.config.compose import load_config
from vision2.config.saved import config_of_run
from vision2.jobs.run_job import run_recorded
from vision2.jobs.sweep import already_finished, run_before

TINY = [
    "dataset=folder",
    "dataset.image_size_px=16",
    "train.epochs=1",
    "train.batch_size=8",
    "device=cpu",
    "skip_finished=true",
]


@pytest.fixture
def photos(tmp_path):
    class_folders(tmp_path / "photos", ant=12, bee=12)
    return tmp_path / "photos"


def config(photos, *overrides):
    return load_config([*TINY, f"dataset.root={photos}", f"output_dir={photos.parent / 'outputs'}", *overrides])


def test_the_same_settings_on_the_same_data_are_already_done(photos):
    assert already_finished(config(photos)) is None
    done = run_recorded(config(photos), "").run_dir
    assert already_finished(config(photos)) == done
    assert already_finished(config(photos, "seed=1")) is None
    assert already_finished(config(photos, "train.epochs=2")) is None


def test_swapped_class_folders_are_different_data(photos):
    run_recorded(config(photos), "")
    for old, new in (("ant", "x"), ("bee", "ant"), ("x", "bee")):
        (photos / old).rename(photos / new)
    assert already_finished(config(photos)) is None


@pytest.mark.parametrize("change", ["added", "removed"])
def test_added_or_removed_images_are_different_data(photos, change):
    run_recorded(config(photos), "")
    first = next((photos / "ant").iterdir())
    if change == "added":
        shutil.copy(first, first.with_stem("another"))
    else:
        first.unlink()
    assert already_finished(config(photos)) is None


def test_a_replaced_weights_file_is_a_different_start(photos):
    source = run_recorded(config(photos), "").run_dir
    file = photos.parent / "weights.pt"
    shutil.copy(source / "best.pt", file)
    words = ("strategy=finetune", f"weights.path={file}")
    done = run_recorded(config(photos, *words), "").run_dir
    assert already_finished(config(photos, *words)) == done
    shutil.copy(run_recorded(config(photos, "seed=5"), "").run_dir / "best.pt", file)
    assert already_finished(config(photos, *words)) is None


def test_a_run_resumed_to_more_epochs_does_not_replace_an_uninterrupted_one(photos):
    folder = run_recorded(config(photos), "").run_dir
    run_recorded(config_of_run(str(folder), ["train.epochs=2"]), "")
    assert already_finished(config(photos)) is None
    assert already_finished(config(photos, "train.epochs=2")) is None


def test_the_run_to_transfer_from_is_trained_once_and_again_after_its_data_change(photos):
    before = ["dataset=folder", "strategy=scratch", "seed=0", "train.batch_size=8", "device=cpu"]
    job = config(photos)
    job.experiment.before = before
    job.experiment.before_root = str(photos)
    first = run_before(job, [])
    assert run_before(job, []) == first
    next((photos / "bee").iterdir()).unlink()
    assert run_before(job, []) != first


def test_a_run_in_another_number_format_is_not_the_result_of_this_machine(photos):
    done = run_recorded(config(photos), "").run_dir
    summary = json.loads((done / "summary.json").read_text())
    summary["identity"]["precision"] = "bfloat16"
    (done / "summary.json").write_text(json.dumps(summary))
    assert already_finished(config(photos)) is None
