"""The jobs of a sweep, with and without a launcher; a sweep that is stopped while it writes its report."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from vision2 import train
from vision2.basics.errors import UserError
from vision2.basics.place import VARIABLES
from vision2.config.compose import load_config
from vision2.jobs.sweep import run_before, sweep_job
from vision2.jobs.sweep_progress import printing_ends
from vision2.runs.sweep_folder import SweepFolder

TINY = ["dataset.fraction=0.05", "dataset.image_size_px=16", "train.epochs=1", "train.batch_size=16", "device=cpu"]


@pytest.fixture
def failing(monkeypatch):
    """Jobs that end at once."""

    def run(*_):
        print("a line of the job")
        raise MemoryError

    monkeypatch.setattr("vision2.jobs.run_job.run", run)


def typed(monkeypatch, folder, *words):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["train", *words])
    return train.main()


def test_jobs_are_numbered_within_their_sweep(failing, tmp_path, monkeypatch, capsys):
    assert typed(monkeypatch, tmp_path, "-m", "seed=0,1,2") == 1
    output = capsys.readouterr().out
    assert [line.partition(":")[0] for line in output.splitlines() if line.startswith("job ")] == [
        "job 1 of 3",
        "job 2 of 3",
        "job 3 of 3",
    ]
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    assert [job["number"] for job in SweepFolder(sweep).jobs()] == [1, 2, 3]


def test_the_run_of_a_job_is_linked_into_its_sweep_before_the_training_begins(tmp_path, monkeypatch):
    linked = []

    def run(config, create_run_dir, command, ranks):
        run_dir = create_run_dir()
        linked.extend((link.name, link.resolve() == run_dir.resolve()) for link in (tmp_path / "sweep").glob("*seed*"))
        raise MemoryError

    monkeypatch.setattr("vision2.jobs.run_job.run", run)
    (tmp_path / "sweep").mkdir()
    config = load_config([f"output_dir={tmp_path}", "seed=3"])
    sweep_job(config, "the command", SweepFolder(tmp_path / "sweep"), number=2)
    assert linked == [("02-resnet20-scratch-seed3", True)]


def test_under_a_launcher_each_job_prints_one_line_and_writes_a_log(failing, tmp_path, capsys):
    folder = SweepFolder(tmp_path)
    with printing_ends(folder, 2):
        for number in (2, 1):
            sweep_job(load_config([f"output_dir={tmp_path}"]), "the command", folder, number=number, own_log=True)
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["1 of 2 jobs ended", "2 of 2 jobs ended"]
    assert lines[0].startswith("1 of 2 jobs ended: job 2 failed: out of memory")
    assert output.err == ""
    assert (tmp_path / "job-1.log").read_text() == "a line of the job\n"


def test_an_experiment_ends_if_the_run_it_transfers_from_does_not_finish(failing, tmp_path):
    config = load_config([f"output_dir={tmp_path}"])
    config.experiment.before = ["strategy=scratch"]
    with pytest.raises(UserError, match=r"the run to transfer from did not finish: out of memory .*train\.batch_size"):
        run_before(config, [])


def test_a_log_that_cannot_be_written_fails_only_its_own_job(failing, tmp_path):
    folder = SweepFolder(tmp_path)
    (tmp_path / "job-1.log").mkdir()
    for number in (1, 2):
        sweep_job(load_config([f"output_dir={tmp_path}"]), "the command", folder, number=number, own_log=True)
    errors = [job["error"].partition(" with ")[0] for job in folder.jobs()]
    assert errors == [f"cannot write its log in {tmp_path}; free some space or set output_dir=FOLDER", "out of memory"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_sweep_stopped_while_it_writes_its_report_says_so_and_leaves_no_part_of_it(
    number, code, tmp_path, monkeypatch, capsys
):
    from vision2.report import sections

    written = []

    def kill(document, material):
        written.append(material.files.path("curves.png"))
        written[0].write_bytes(b"half")
        os.kill(os.getpid(), number)
        pytest.fail("the signal did not arrive")

    monkeypatch.setattr(sections, "add_curves", kill)
    assert typed(monkeypatch, tmp_path, "-m", "seed=0", *TINY) == code
    sweep = written[0].parents[2]
    assert not (sweep / "report").exists()
    errors = capsys.readouterr().err
    assert "stopped while the report was being written" in errors
    assert f"python -m vision2.report {sweep}" in errors


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-m", "seed=0,1"], "not a sweep"),
        (["experiment=smoke"], "not a sweep"),
        (["strategy=protonet", "dataset.split_by=class"], "strategy=protonet; it runs in one process"),
        (["strategy=finetune", "dataset.split_by=class", "weights.path=."], "dataset.split_by=class"),
        (["mode=eval", "weights.path=.", "dataset.root=."], "mode=eval"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_what_processes_cannot_share_is_refused_in_one_sentence(words, reason, tmp_path, monkeypatch, capsys):
    for name, value in zip(VARIABLES, ("0", "2", "0", "2", "localhost", "1"), strict=True):
        monkeypatch.setenv(name, value)
    assert typed(monkeypatch, tmp_path, *words) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and "torchrun started 2 processes" in errors and reason in errors
    assert "without torchrun" in errors
    assert not list(tmp_path.iterdir())


def test_one_process_of_torchrun_is_an_ordinary_run(failing, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert typed(monkeypatch, tmp_path, *TINY) == 2
    assert "out of memory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("hydra/launcher=joblib", "hydra/launcher=joblib needs the package hydra-joblib-launcher"),
        ("hydra/launcher=submitit_local", "pip install hydra-submitit-launcher"),
        ("hydra/launcher=submitit_slurm", "pip install hydra-submitit-launcher"),
        ("hydra/launcher=ray", "pip install hydra-ray-launcher"),
        ("hydra/sweeper=optuna", "pip install hydra-optuna-sweeper"),
        ("hydra/launcher=jobli", "unknown hydra/launcher 'jobli', did you mean 'joblib'?"),
        ("hydra/sweeper=qqq", "unknown hydra/sweeper 'qqq'; allowed: ax, basic"),
    ],
)
def test_for_a_launcher_that_is_not_installed_the_message_names_its_package(word, text, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vision2.config.plugins.find_spec", lambda name: None)
    assert typed(monkeypatch, tmp_path, "-m", "seed=0,1", word) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and text in errors
    assert not list(Path(tmp_path).iterdir())
