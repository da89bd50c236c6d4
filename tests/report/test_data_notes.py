"""The report page warns if the data have changed since the runs, or if evaluation images are in the training split."""

from __future__ import annotations

import shutil

import pytest
from made_up_images import class_folders

from vision2.config.compose import load_config
from vision2.jobs.run_job import run_recorded
from vision2.report.build import write_report

TINY = ["dataset=folder", "dataset.image_size_px=16", "train.epochs=1", "train.batch_size=8", "strategy.lr=0.001", "device=cpu"]


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    photos = class_folders(tmp_path / "photos", ant=12, bee=12)
    for image in sorted((photos / "ant").iterdir())[:6]:
        shutil.copy(image, image.with_stem(image.stem + "-same"))
    words = [*TINY, f"dataset.root={photos}", f"output_dir={tmp_path / 'outputs'}"]
    assert run_recorded(load_config(words), "").status == "completed"
    return tmp_path / "outputs"


def markdown(outputs):
    return write_report(outputs).page.with_suffix(".md").read_text()


def test_the_page_warns_that_the_data_have_changed_since_the_runs(outputs):
    assert "have changed since some of these runs" not in markdown(outputs)
    photos = outputs.parent / "photos"
    for old, new in (("ant", "x"), ("bee", "ant"), ("x", "bee")):
        (photos / old).rename(photos / new)
    changed = f"The data in {photos} have changed since some of these runs"
    assert changed in markdown(outputs)
    words = [*TINY, f"dataset.root={photos}", f"output_dir={outputs}"]
    assert run_recorded(load_config(words), "").status == "completed"
    assert changed in markdown(outputs), "a newer run on the current data does not make the older one right"


def test_the_page_warns_about_copies_of_evaluation_images_in_the_training_split(outputs):
    assert "are also in the training split, so the accuracy is overestimated" in markdown(outputs)
