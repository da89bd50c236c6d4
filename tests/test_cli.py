"""The command line as a user calls it: help, mistakes, sweeps, an experiment from its command to its page."""

from __future__ import annotations

import csv
import re
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from vision2 import train
from vision2.runs.read import read_runs


def typed(folder: Path, *words: str) -> SimpleNamespace:
    """What `python -m vision2.train words...` does in `folder`, without a new process."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["train", *words])
        code = train.main()
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


def test_help_shows_usage_options_and_the_configuration(vision2):
    done = vision2("train", "--help")
    assert done.returncode == 0
    for text in (
        "model=resnet50 strategy=finetune",
        "dataset: cats_vs_dogs, cifar10, digits, folder, omniglot, plants",
        "epochs: 10",
    ):
        assert text in done.stdout


def test_help_shows_the_configuration_that_was_asked_for_and_checks_it(tmp_path):
    shown = typed(tmp_path, "--help", "model=plain20", "train.epochs=7")
    assert shown.returncode == 0 and "name: plain20" in shown.stdout and "epochs: 7" in shown.stdout
    assert "did you mean 'train.epochs'" in typed(tmp_path, "--help", "train.epoch=7").stderr
    assert "hydra" not in shown.stdout.lower()


def test_a_sweep_whose_data_is_missing_is_refused_without_composing_its_jobs(tmp_path, monkeypatch):
    monkeypatch.setattr("vision2.config.sweep_plan.to_config", lambda node: pytest.fail("a job was checked"))
    done = typed(tmp_path, "experiment=few_shot", "dataset.root=absent")
    assert done.returncode == 2 and done.stderr.startswith("error: dataset.root=absent does not exist"), done.stderr


def test_the_resolved_configuration_can_be_printed_without_running(tmp_path):
    done = typed(tmp_path, "--cfg", "job", "--resolve", "train.epochs=3", "output_dir=mis años (1)")
    assert done.returncode == 0
    assert "epochs: 3" in done.stdout
    assert "output_dir: mis años (1)" in done.stdout
    assert "${" not in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_mistake_ends_the_process_with_code_2_and_no_traceback(vision2, tmp_path):
    done = vision2("train", "model=resnet2O")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: unknown model 'resnet2O', did you mean '\w+'\?\n", done.stderr)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["strategy=finetune", "model=plain20"],
        ["train.epochs"],
        ["-m", "model=resnet20,resnet2O"],
        ["dataset=folder"],
        ["dataset=folder", "dataset.root=absent"],
        ["resume=absent"],
        ["mode=eval", "checkpoint=absent.pt"],
        ["mode=eval", "checkpoint=.", "train.epochs=3"],
        ["device=cuda:7"],
        ["weights.path=absent.pth"],
        ["model=resnet20", "-m", "seed=x"],
        ["--cfg", "job", "seed=0,1"],
        ["--epochs=3"],
        ["--cfg", "nonsense"],
        ["--config-name=other"],
        ["--config-dir=."],
        ["-cn", "other"],
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_line_and_nothing_is_written(words, tmp_path):
    done = typed(tmp_path, *words)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_a_sweep_writes_to_a_folder_with_accents_and_spaces(tmp_path):
    (tmp_path / "empty").mkdir()
    data = ["dataset=cifar10", "dataset.root=empty", "dataset.download=false"]
    done = typed(tmp_path, "-m", *data, "output_dir=mis años (1)")
    assert done.returncode == 1
    assert "1 of 1 jobs: 1 failed" in done.stdout
    assert "cifar-10-batches-py" in done.stderr
    assert list((tmp_path / "mis años (1)" / "sweeps").glob("*/jobs.jsonl"))


def test_a_stopped_sweep_starts_no_other_job_and_says_how_to_resume_it(tmp_path):
    words = ["-m", "seed=0,1", "experiment=smoke", "model=plain20", "train.epochs=300", f"output_dir={tmp_path}"]
    line = [sys.executable, "-m", "vision2.train", *words]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output = ""
    while not output.splitlines()[-1:] or not output.splitlines()[-1].startswith("epoch"):
        output += process.stdout.readline() or pytest.fail(f"no epoch was finished: {process.communicate()}")
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "1 of 2 jobs: 1 interrupted" in output
    assert "skip_finished=true" in errors
    assert "Traceback" not in errors


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """The smallest experiment as a user types it, in a process of its own."""
    folder = tmp_path_factory.mktemp("experiment")
    line = [sys.executable, "-m", "vision2.train", "experiment=smoke", "device=cpu"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=240)
    return SimpleNamespace(folder=folder, returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


def test_an_experiment_is_one_plain_command_that_ends_in_a_verdict_and_a_page(experiment):
    assert experiment.returncode == 0, experiment.stderr
    assert "4 of 4 jobs: 4 completed" in experiment.stdout
    assert experiment.stdout.index("Before you look: Which network is more accurate?") < experiment.stdout.index("job 1 of 4")
    assert "verdict: inconclusive" in experiment.stdout
    assert "to discuss: docs/lecture.md, experiment=smoke" in experiment.stdout
    (page,) = experiment.folder.rglob("report.html")
    text = page.read_text()
    assert text.index("after one epoch on 57 digits") < text.index("plain20, random initialisation, digits")
    assert "python -m vision2.train experiment=smoke device=cpu<" in text  # the whole sweep again
    assert all((page.parent / name).exists() for name in ("report.md", "table.csv"))


def test_a_sweep_prints_and_writes_its_table(experiment):
    (table,) = (experiment.folder / "outputs" / "sweeps").rglob("table.csv")
    rows = list(csv.DictReader(table.open()))
    assert {row["model.name"] for row in rows if row.get("model.name")} == {"plain20", "resnet20"}
    assert "resnet20" in experiment.stdout


@pytest.fixture(scope="module")
def sweep(experiment):
    """A sweep in the same folder: two jobs that cannot train, one that the experiment has finished, and a new one."""
    smoke = ["dataset.fraction=0.05", "dataset.image_size_px=16", "train.epochs=1", "train.batch_size=16", "device=cpu"]
    words = ["model=resnet20", "strategy.lr=1e30,0.1", "seed=0,2", "skip_finished=true"]
    return typed(experiment.folder, "-m", *smoke, *words)


def test_a_failing_job_does_not_stop_the_rest_and_is_listed_at_the_end(experiment, sweep):
    assert sweep.returncode == 1
    assert "Traceback" not in sweep.stderr
    assert "4 of 4 jobs: 2 failed, 1 skipped, 1 completed" in sweep.stdout
    last = [line for line in sweep.stderr.splitlines() if line][-2:]
    assert all(line.startswith("failed: python -m vision2.train") and "strategy.lr=1e+30" in line for line in last)
    runs, problems = read_runs(experiment.folder / "outputs" / "digits")
    assert not problems
    assert sorted(run.summary["status"] for run in runs) == ["completed"] * 5 + ["failed"] * 2


def test_the_command_in_the_summary_makes_the_same_run_again(experiment, sweep, tmp_path):
    runs, _ = read_runs(experiment.folder / "outputs" / "digits")
    (summary,) = [run.summary for run in runs if run.completed and run.seed == 2]
    assert summary["command"].startswith("python -m vision2.train")
    done = typed(tmp_path, *summary["command"].split()[3:])
    assert done.returncode == 0
    assert f"{summary['metrics']['test']['accuracy']:.2%}" in done.stdout


def test_jobs_that_transfer_start_from_the_run_that_their_experiment_trains_first(tmp_path):
    tiny = ["dataset.fraction=0.05", "dataset.image_size_px=16", "train.epochs=1", "train.batch_size=16", "device=cpu"]
    own = ["dataset=digits", "model=resnet20", "strategy=scratch,finetune", "seed=0"]
    first = "experiment.before=['dataset=digits','strategy=scratch','dataset.fraction=0.1']"
    done = typed(tmp_path, "experiment=negative_transfer", *own, *tiny, first)
    assert done.returncode == 0, done.stderr
    runs, _ = read_runs(tmp_path / "outputs" / "digits")
    (source,) = [run.path for run in runs if run.get("config.dataset.fraction") == 0.1]
    sources = {run.get("config.strategy.name"): run.get("config.strategy.source") for run in runs if run.path != source}
    assert sources == {"scratch": None, "finetune": str(source)}


def test_a_path_that_may_not_be_read_is_one_line_and_names_its_setting(monkeypatch, capsys):
    right = Path.is_dir

    def refused(path):
        if path.is_relative_to("/secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return right(path)

    monkeypatch.setattr(Path, "is_dir", refused)
    monkeypatch.setattr("sys.argv", ["train", "resume=/secret/run"])
    assert train.main() == 2
    error = capsys.readouterr().err
    assert error == "error: /secret/run: Permission denied; change its permissions, or set resume to another path\n"
