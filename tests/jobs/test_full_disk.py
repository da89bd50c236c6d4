"""A full disk wherever files are written: one sentence, earlier files intact, later jobs tried, the table printed."""

from __future__ import annotations

import errno
import json
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from vision2 import train
from vision2.basics import atomic_write
from vision2.config.compose import load_config
from vision2.config.saved import config_of_run
from vision2.jobs.run_job import run_recorded
from vision2.runs.read import read_runs
from vision2.runs.tensorboard import TensorBoardTracker
from vision2.training.checkpoint import load_checkpoint

TINY = ["dataset.fraction=0.05", "dataset.image_size_px=16", "train.epochs=1", "train.batch_size=16", "device=cpu"]


def raise_full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def torch_save(content, file):  # what torch 2.14 raises on a full disk
    Path(file).write_bytes(b"half")
    raise RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 4032 vs 3926")


def full_for(*names):
    """Appending and replacing fail for these files only."""
    original = atomic_write.writing

    @contextmanager
    def writing(path):
        with original(path):
            if path.name in names:
                raise_full()
            yield

    return writing


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return run_recorded(load_config([*TINY, f"output_dir={folder}"]), "the command").run_dir


PLACES = {
    "checkpoint": lambda patch: patch.setattr(torch, "save", torch_save),
    "metrics": lambda patch: patch.setattr("vision2.runs.records.append_line", raise_full),
    "tensorboard": lambda patch: patch.setattr(TensorBoardTracker, "log_epoch", raise_full),
    "closing tensorboard": lambda patch: patch.setattr(TensorBoardTracker, "close", raise_full),
    "pictures": lambda patch: patch.setattr("matplotlib.figure.Figure.savefig", raise_full),
    "everything": lambda patch: patch.setattr("tempfile.mkstemp", raise_full),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_run_ends_in_one_sentence_and_its_earlier_files_stay(place, finished, tmp_path, monkeypatch, request):
    if place == "pictures":
        request.getfixturevalue("draws_pictures")
    PLACES[place](monkeypatch)
    outcome = run_recorded(load_config([*TINY, f"output_dir={tmp_path}"]), "the command")
    assert (outcome.status, outcome.exit_code) == ("failed", 2)
    assert "\n" not in outcome.error
    assert "space" in outcome.error
    resumed = run_recorded(config_of_run(str(finished), ["train.epochs=2"]), "the command")
    assert resumed.status == "failed"
    monkeypatch.undo()
    assert load_checkpoint(finished / "last.pt")["state"]["epoch"] in (1, 2)
    assert load_checkpoint(finished / "best.pt")["classes"]
    assert json.loads((finished / "summary.json").read_text())["metrics"]
    assert not list(finished.glob(".*.tmp"))


def test_a_thread_that_finds_the_disk_full_prints_no_traceback(tmp_path, monkeypatch, capfd):
    """TensorBoard writes in a thread, whose traceback Python would print."""
    monkeypatch.setattr("tensorboard.compat.tensorflow_stub.io.gfile.GFile.write", raise_full)
    outcome = run_recorded(load_config([*TINY, f"output_dir={tmp_path}"]), "the command")
    assert outcome.error.startswith("the disk is full (No space left on device): free some space")
    assert "Traceback" not in capfd.readouterr().err


def test_a_runtime_error_that_is_not_about_writing_stays_an_internal_error(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(torch, "save", broken)
    outcome = run_recorded(load_config([*TINY, f"output_dir={tmp_path}"]), "the command")
    assert outcome.exit_code == 1
    assert "internal error: RuntimeError: a bug" in outcome.error


@pytest.mark.parametrize("names", [["report.html"], ["jobs.jsonl", "table.csv"]], ids=" ".join)
def test_a_sweep_tries_its_later_jobs_and_prints_its_table(names, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(atomic_write, "writing", full_for(*names))
    monkeypatch.setattr(sys, "argv", ["train", "-m", "seed=0,1", *TINY])
    assert train.main() == 1
    output = capsys.readouterr()
    assert "2 of 2 jobs: 2 completed" in output.out
    assert "test accuracy" in output.out and "Traceback" not in output.err
    assert "the report was not written" in output.err
    assert not list(tmp_path.glob("outputs/sweeps/*/report/*.*"))


def test_a_sweep_tries_its_later_jobs_after_one_found_the_disk_full(tmp_path, monkeypatch, capsys):
    saved = torch.save
    calls = iter([torch_save, torch_save])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "save", lambda *given: next(calls, saved)(*given))
    monkeypatch.setattr(sys, "argv", ["train", "-m", "seed=0,1,2", *TINY])
    assert train.main() == 1
    output = capsys.readouterr()
    assert "3 of 3 jobs: 2 failed, 1 completed" in output.out
    assert "the disk is full" in output.err
    runs, problems = read_runs(tmp_path / "outputs" / "digits")
    assert sorted(run.summary["status"] for run in runs) == ["completed", "failed", "failed"] and not problems
