"""The command line in a user's hands: help, mistakes, sweeps."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import pytest

from vision2.runs.read import read_runs

TINY = ["dataset.fraction=0.05", "dataset.image_size_px=16", "train.epochs=1", "train.batch_size=16", "device=cpu"]


def test_help_shows_usage_options_and_the_configuration(vision2):
    done = vision2("train", "--help")
    assert done.returncode == 0
    for text in (
        "model=resnet50 strategy=finetune",
        "dataset: cats_vs_dogs, cifar10, digits, folder, plants",
        "epochs: 10",
    ):
        assert text in done.stdout


def test_the_resolved_configuration_can_be_read_without_running(vision2, tmp_path):
    done = vision2("train", "--cfg", "job", "--resolve", "train.epochs=3")
    assert done.returncode == 0
    assert "epochs: 3" in done.stdout
    assert "${" not in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_folder_with_accents_and_spaces_is_taken_as_typed(vision2):
    done = vision2("train", "--cfg", "job", "output_dir=mis años (1)")
    assert "output_dir: mis años (1)" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["model=resnet2O"],
        ["strategy=finetune", "model=plain20"],
        ["train.epochs"],
        ["-m", "model=resnet20,resnet2O"],
        ["dataset=folder"],
        ["dataset=folder", "dataset.root=absent"],
        ["resume=absent"],
        ["mode=eval", "checkpoint=absent.pt"],
        ["device=cuda:7"],
        ["weights.path=absent.pth"],
        ["model=resnet20", "-m", "seed=x"],
        ["--cfg", "job", "seed=0,1"],
        ["--epochs=3"],
        ["--cfg", "nonsense"],
        ["--config-name=other"],
        ["--config-dir=."],
    ],
    ids=" ".join,
)
def test_a_mistake_ends_with_code_2_one_line_and_nothing_written(words, vision2, tmp_path):
    done = vision2("train", *words)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_a_sweep_writes_to_a_folder_with_accents_and_spaces(vision2, tmp_path):
    (tmp_path / "empty").mkdir()
    data = ["dataset=cifar10", "dataset.root=empty", "dataset.download=false"]
    done = vision2("train", "-m", *data, "output_dir=mis años (1)")
    assert done.returncode == 1
    assert "1 of 1 jobs: 1 failed" in done.stdout
    assert "cifar-10-batches-py" in done.stderr
    assert list((tmp_path / "mis años (1)" / "sweeps").glob("*/jobs.jsonl"))


def test_a_stopped_sweep_starts_no_other_job_and_tells_how_to_go_on(tmp_path):
    line = [
        sys.executable,
        "-m",
        "vision2.train",
        "-m",
        "seed=0,1",
        *TINY,
        "train.epochs=300",
        f"output_dir={tmp_path}",
    ]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.rglob("last.pt")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "1 of 2 jobs: 1 interrupted" in output
    assert "skip_finished=true to go on" in errors
    assert "Traceback" not in errors


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A sweep of two models and two seeds in which one model cannot train."""
    folder = tmp_path_factory.mktemp("sweep")
    words = ["-m", "model=plain20,resnet20", "strategy.lr=0.05,1e30", *TINY]
    environment = dict(os.environ)
    line = [sys.executable, "-m", "vision2.train", *words]
    first = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)
    again = subprocess.run([*line, "skip_finished=true"], cwd=folder, env=environment, capture_output=True, text=True)
    return folder, first, again


def test_a_failing_job_does_not_stop_the_rest_and_is_named_at_the_end(sweep):
    folder, first, _ = sweep
    assert first.returncode == 1
    assert "Traceback" not in first.stderr
    assert "4 of 4 jobs: 2 completed, 2 failed" in first.stdout
    last = [line for line in first.stderr.splitlines() if line][-2:]
    assert all(line.startswith("failed: python -m vision2.train") and "strategy.lr=1e+30" in line for line in last)
    runs, problems = read_runs(folder / "outputs" / "digits")
    assert not problems
    assert sorted(run.summary["status"] for run in runs) == ["completed"] * 2 + ["failed"] * 4  # of both sweeps


def test_a_sweep_prints_and_writes_its_table(sweep):
    folder, first, _ = sweep
    tables = sorted((folder / "outputs" / "sweeps").rglob("table.csv"))
    rows = list(csv.DictReader(tables[0].open()))
    assert {row["model.name"] for row in rows if row.get("model.name")} == {"plain20", "resnet20"}
    assert "resnet20" in first.stdout


def test_the_same_sweep_again_skips_what_is_finished(sweep):
    folder, _, again = sweep
    assert "4 of 4 jobs: 2 skipped, 2 failed" in again.stdout
    runs, _ = read_runs(folder / "outputs" / "digits")
    assert len([run for run in runs if run.completed]) == 2


def test_the_command_in_the_summary_makes_the_same_run_again(sweep, vision2):
    runs, _ = read_runs(sweep[0] / "outputs" / "digits")
    run = next(run for run in runs if run.completed)
    assert run.summary["command"].startswith("python -m vision2.train")
    done = vision2("train", *run.summary["command"].split()[3:])
    assert done.returncode == 0
    assert f"{run.summary['metrics']['test']['accuracy']:.2%}" in done.stdout
