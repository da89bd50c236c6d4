"""A small run end to end: what it writes, that it resumes bit for bit, that a stop loses nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from vision2.basics.errors import UserError
from vision2.basics.signals import Stopped
from vision2.config.compose import load_config
from vision2.config.saved import config_of_run
from vision2.experiment import run
from vision2.jobs.run_job import run_recorded
from vision2.runs.records import RunRecord
from vision2.training.checkpoint import load_checkpoint

TINY = [
    "dataset.fraction=0.1",
    "train.batch_size=32",
    "train.warmup_epochs=0",
    "device=cpu",
    "dataset.image_size_px=16",
]


def completed(folder, *words):
    """A finished tiny run in `folder`."""
    folder.mkdir(exist_ok=True)
    return run(load_config([*TINY, *words]), lambda: folder, "python -m vision2.train")


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    return folder, completed(folder, "train.epochs=2")


def test_a_run_leaves_its_configuration_split_curves_summary_checkpoints_and_events(two_epochs):
    folder, _ = two_epochs
    names = {file.name for file in folder.iterdir()}
    assert {"config.yaml", "split.json", "metrics.jsonl", "summary.json", "best.pt", "last.pt"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not any(name.endswith(".tmp") for name in names)


def test_the_summary_contains_what_a_reader_needs_to_judge_the_result(two_epochs):
    folder, _ = two_epochs
    summary = json.loads((folder / "summary.json").read_text())
    test = summary["metrics"]["test"]
    assert test["accuracy_low"] <= test["accuracy"] <= test["accuracy_high"]
    assert test["n"] == len(RunRecord(folder).split()["splits"]["test"]["ids"])
    assert summary["parameters"] == 269_722  # resnet20 with ten classes, He et al. 2016
    for key in (
        "seconds",
        "images_per_second",
        "peak_memory_mb",
        "versions",
        "device",
        "precision",
        "command",
        "config",
    ):
        assert summary[key], key
    assert summary["multiply_adds"] == pytest.approx(40.55e6 / 4, rel=0.01)  # 16 px is a quarter of 32 px


def test_validation_never_comes_from_test(two_epochs):
    split = RunRecord(two_epochs[0]).split()["splits"]
    train, val, test = (set(split[name]["ids"]) for name in ("train", "val", "test"))
    assert not train & val
    assert not train & test
    assert not val & test


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(two_epochs, tmp_path):
    straight, summary = two_epochs
    stopped = tmp_path / "stopped"

    class Stop(Exception):
        pass

    config = load_config([*TINY, "train.epochs=2"])
    stopped.mkdir()
    original = RunRecord.log_epoch

    def log_then_stop(self, record):
        original(self, record)
        if record["epoch"] == 2:
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunRecord, "log_epoch", log_then_stop)
        with pytest.raises(Stop):
            run(config, lambda: stopped, "")
    assert load_checkpoint(stopped / "last.pt")["state"]["epoch"] == 1
    resumed = run(config_of_run(str(stopped), [f"resume={stopped}"]), lambda: stopped, "")

    for name in ("best.pt", "last.pt"):
        a, b = load_checkpoint(straight / name)["model"], load_checkpoint(stopped / name)["model"]
        assert all(torch.equal(a[key], b[key]) for key in a)
    timed = {"seconds", "images_per_second", "data_wait_share", "train_seconds"}
    histories = [
        [{k: v for k, v in record.items() if k not in timed} for record in RunRecord(folder).history()]
        for folder in (straight, stopped)
    ]
    assert histories[0] == histories[1]
    assert resumed["metrics"] == summary["metrics"]


def test_evaluating_the_checkpoint_gives_the_test_results_of_the_run(two_epochs, vision2):
    folder, summary = two_epochs
    done = vision2("train", "mode=eval", f"checkpoint={folder / 'best.pt'}")
    assert done.returncode == 0, done.stderr
    assert f"{summary['metrics']['test']['accuracy']:.2%}" in done.stdout


def test_a_run_that_diverges_is_recorded_as_failed_with_the_step_and_the_rate(tmp_path):
    words = [*TINY, "strategy.lr=1e30", "train.epochs=2", f"output_dir={tmp_path}"]
    outcome = run_recorded(load_config(words), "the command")
    assert outcome.exit_code == 2
    summary = json.loads((outcome.run_dir / "summary.json").read_text())
    assert summary["status"] == "failed"
    assert "step" in summary["error"]
    assert "learning rate" in summary["error"]


def test_missing_weights_leave_no_run_folder_behind(tmp_path):
    words = ["model=resnet18", "strategy=finetune", f"output_dir={tmp_path / 'outputs'}"]
    outcome = run_recorded(load_config(words), "")
    assert outcome.exit_code == 2
    assert "weights.path=" in outcome.error
    assert not (tmp_path / "outputs").exists()


def test_the_traceback_of_an_internal_error_is_kept_in_the_run_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("vision2.training.epochs.EpochFit._epoch", lambda *args: 1 / 0)
    outcome = run_recorded(load_config([*TINY, f"output_dir={tmp_path}"]), "")
    assert outcome.exit_code == 1
    assert "ZeroDivisionError" in outcome.error
    assert "\n" not in outcome.error
    assert "Traceback" in (outcome.run_dir / "error.txt").read_text()


def test_a_run_stopped_in_its_first_epoch_says_how_to_start_again_in_its_folder(tmp_path, monkeypatch):
    def stop(*_):
        raise Stopped(signal.SIGTERM)

    monkeypatch.setattr("vision2.training.epochs.EpochFit._epoch", stop)
    outcome = run_recorded(load_config([*TINY, f"output_dir={tmp_path}"]), "the command")
    assert outcome.exit_code == 143
    again = f"python -m vision2.train resume={outcome.run_dir}"
    assert outcome.error == f"stopped; no epoch was finished. Start again in the same folder with: {again}"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_stopped_run_leaves_a_checkpoint_to_resume_from(number, code, tmp_path):
    line = [sys.executable, "-m", "vision2.train", *TINY, "train.epochs=300", f"output_dir={tmp_path}"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.rglob("last.pt")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    (folder,) = (path.parent for path in tmp_path.rglob("last.pt"))
    if number != signal.SIGKILL:
        assert "Resume with: python -m vision2.train resume=" in errors
        assert "Traceback" not in errors
    epoch = load_checkpoint(folder / "last.pt")["state"]["epoch"]
    run(config_of_run(str(folder), [f"train.epochs={epoch + 1}"]), lambda: folder, "")
    assert [record["epoch"] for record in RunRecord(folder).history()] == list(range(1, epoch + 2))


def test_a_run_resumed_twice_with_other_epochs_keeps_every_sitting(two_epochs, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(two_epochs[0], copy)
    for epochs in (3, 4):
        summary = run(config_of_run(str(copy), [f"train.epochs={epochs}"]), lambda: copy, "")
        assert yaml.safe_load((copy / "config.yaml").read_text())["train"]["epochs"] == epochs
    assert [sitting["epochs"] for sitting in summary["sittings"]] == [2, 3, 4]
    assert [sitting["from_epoch"] for sitting in summary["sittings"]] == [1, 3, 4]
    assert summary["sittings"][2]["changes"] == {"train.epochs": [3, 4]}
    assert summary["identity"]["lengths"] == [2, 3, 4]
    assert "train.schedule_epochs=2" in capsys.readouterr().out  # cosine over the whole run would raise the rate again


def test_resuming_an_early_stopped_run_says_so(tmp_path, capsys):
    folder = tmp_path / "run"
    words = ("train.epochs=9", "train.patience=1", "strategy.lr=0.0", "strategy.batchnorm=frozen")  # no epoch beats the first
    assert completed(folder, *words)["epochs_done"] == 2
    capsys.readouterr()
    run(config_of_run(str(folder), []), lambda: folder, "")
    assert "early stopping ended this run after epoch 2" in capsys.readouterr().out
    assert run(config_of_run(str(folder), ["train.patience=2"]), lambda: folder, "")["epochs_done"] == 3


def broken_copy(folder, tmp_path, **files):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for name, text in files.items():
        (copy / name.replace("_", ".")).write_text(text)
    return copy


@pytest.mark.parametrize(
    ("files", "words", "text"),
    [
        ({}, ["train.epochs=1"], "has already finished 2 epochs; set train.epochs to 2 or more, not 1"),
        ({"metrics_jsonl": 'x\n{"epoch": 2}\n'}, ["train.epochs=3"], "line 1 of metrics.jsonl is broken"),
        ({"split_json": '{"fingerprint": "of other images"}'}, ["train.epochs=3"], "other images"),
        ({"split_json": "{"}, ["train.epochs=3"], "split.json"),
        ({"config_yaml": "hello"}, [], "config.yaml contains no settings"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list | dict) else "",
)
def test_a_run_that_cannot_be_resumed_is_refused_and_left_unchanged(files, words, text, two_epochs, tmp_path):
    copy = broken_copy(two_epochs[0], tmp_path, **files)
    with pytest.raises(UserError, match=text):
        run(config_of_run(str(copy), words), lambda: pytest.fail("claimed"), "")
    assert json.loads((copy / "summary.json").read_text())["status"] == "completed"


def test_only_harmless_settings_may_change_on_resume(two_epochs):
    with pytest.raises(UserError, match=r"a resumed run cannot change strategy\.lr"):
        config_of_run(str(two_epochs[0]), ["strategy.lr=0.5"])
    with pytest.raises(UserError, match="is not a run folder"):
        config_of_run(str(two_epochs[0].parent), [])
