"""A run stopped at any moment can be resumed in its folder; two processes never train in one folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from vision2 import train
from vision2.basics.errors import UserError
from vision2.basics.signals import Stopped
from vision2.config.compose import load_config
from vision2.config.saved import config_of_run
from vision2.jobs.run_job import run_recorded
from vision2.runs.read import read_runs
from vision2.runs.records import RunRecord
from vision2.runs.run_folder import LOCK, is_locked, lock_run
from vision2.training.checkpoint import load_checkpoint
from vision2.training.epochs import EpochFit
from vision2.training.recorder import Recorder

TINY = ["dataset.fraction=0.1", "dataset.image_size_px=16", "train.epochs=2", "train.batch_size=32", "device=cpu"]
TIMED = {"seconds", "images_per_second", "features_per_second", "data_wait_share", "train_seconds"}


def stop(*_, **__):
    raise Stopped(signal.SIGTERM)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    return run_recorded(load_config([*TINY, f"output_dir={folder}"]), "the command").run_dir


def history(run_dir):
    return [{key: value for key, value in row.items() if key not in TIMED} for row in RunRecord(run_dir).history()]


def assert_same_run(first, second):
    for name in ("best.pt", "last.pt"):
        a, b = load_checkpoint(first / name), load_checkpoint(second / name)
        assert all(torch.equal(a["model"][key], b["model"][key]) for key in a["model"])
    assert history(first) == history(second)
    a, b = (json.loads((folder / "summary.json").read_text()) for folder in (first, second))
    assert a["metrics"] == b["metrics"] and b["status"] == "completed"
    assert len(list(second.glob("events.out.tfevents.*"))) == 1


@pytest.mark.parametrize(
    ("where", "what"),
    [(EpochFit, "_epoch"), (Recorder, "epoch"), (Recorder, "save"), (RunRecord, "write_split")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_run_stopped_before_its_first_checkpoint_is_resumed_to_the_same_result(where, what, straight, tmp_path, monkeypatch):
    monkeypatch.setattr(where, what, stop)
    stopped = run_recorded(load_config([*TINY, f"output_dir={tmp_path}"]), "the command")
    monkeypatch.undo()
    assert stopped.status == "interrupted" and not (stopped.run_dir / "last.pt").exists()
    (stopped.run_dir / "metrics.jsonl").write_text('{"epoch": 1}\n')  # and a kill in the middle of the two checkpoints
    shutil.copy(straight / "best.pt", stopped.run_dir)
    again = run_recorded(config_of_run(str(stopped.run_dir), [f"resume={stopped.run_dir}"]), "the command")
    assert again.run_dir == stopped.run_dir
    assert_same_run(straight, again.run_dir)


def test_a_run_killed_in_its_first_epoch_is_reported_as_died_and_can_be_resumed(straight, tmp_path):
    code = (
        "import os, signal, sys; from vision2 import train; from vision2.training.epochs import EpochFit;"
        "EpochFit._epoch = lambda *_: os.kill(os.getpid(), signal.SIGKILL); sys.exit(train.main())"
    )
    line = [sys.executable, "-c", code, *TINY, f"output_dir={tmp_path}"]
    assert subprocess.run(line, capture_output=True).returncode == -signal.SIGKILL
    (run,), problems = read_runs(tmp_path)
    assert run.summary["status"] == "died" and not run.completed and not problems
    assert f"resume it with: python -m vision2.train resume={run.path}" in run.summary["error"]
    run_recorded(config_of_run(str(run.path), []), "the command")
    assert_same_run(straight, run.path)


def test_a_completed_run_without_its_last_checkpoint_keeps_its_result(straight, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    (copy / "last.pt").unlink()
    with pytest.raises(UserError, match=r"completed run whose last\.pt is missing"):
        config_of_run(str(copy), [])
    assert (copy / "best.pt").exists()


def test_a_second_process_in_the_same_folder_is_refused_in_one_sentence(straight, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    before = sorted((file.name, file.stat().st_mtime_ns) for file in copy.iterdir())
    lock = lock_run(copy)
    monkeypatch.setattr(sys, "argv", ["train", f"resume={copy}", "train.epochs=3"])
    assert train.main() == 2
    errors = capsys.readouterr().err
    assert errors == (
        f"error: another process is training in {copy}; wait for it to end or stop it, then run the same command again\n"
    )
    assert sorted((file.name, file.stat().st_mtime_ns) for file in copy.iterdir() if file.name != LOCK) == [
        row for row in before if row[0] != LOCK
    ]
    lock.release()
    assert train.main() == 0


def test_a_new_run_holds_its_folder_and_is_read_as_still_running(tmp_path, monkeypatch):
    seen = []

    def look(fit, *_):
        seen.append((is_locked(next(tmp_path.glob("digits/*/*"))), *read_runs(tmp_path)))
        stop()

    monkeypatch.setattr(EpochFit, "_epoch", look)
    stopped = run_recorded(load_config([*TINY, f"output_dir={tmp_path}"]), "the command")
    ((locked, runs, (problem,)),) = seen
    assert locked and runs == []
    assert problem.reason.startswith(f"still running (process {os.getpid()} on ")
    assert is_locked(stopped.run_dir) is False


def test_training_works_where_files_cannot_be_locked(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    assert lock_run(tmp_path) is None
    (tmp_path / LOCK).touch()
    assert is_locked(tmp_path) is None


@pytest.mark.parametrize("content", [b"seed: [0", b"seed: \xff"], ids=["bracket", "encoding"])
def test_a_damaged_configuration_and_a_file_are_refused_on_resume(content, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"config\.yaml cannot be read \(.*\); correct it or start a new run"):
        config_of_run(str(tmp_path), [])
    with pytest.raises(UserError, match=r"config\.yaml is not a folder; give a run folder, e\.g\. outputs/digits"):
        config_of_run(str(file), [])


@pytest.mark.parametrize("value", ["${oc.env:HOME}", "${seed}", "a ${model.name} b"])
def test_an_interpolation_in_a_saved_configuration_is_refused_on_resume(value, straight, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    text = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace("output_dir: ", f"output_dir: '{value}' # "))
    with pytest.raises(UserError, match=r"interpolation .*plain values only"):
        config_of_run(str(copy), [])
