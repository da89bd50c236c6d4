"""A run with a fault is marked wherever it is seen, and is compared only where a comparison asks for the fault."""

from __future__ import annotations

import json

import pytest
import torch
from made_up_runs import configuration, make_run

from vision2.basics.errors import UserError
from vision2.config.compose import load_config
from vision2.config.saved import config_of_run
from vision2.experiment import run
from vision2.faults.mark import announce
from vision2.report.build import write_report
from vision2.report.comparisons import Comparison, judge_runs
from vision2.runs.groups import group_runs
from vision2.runs.read import read_runs
from vision2.runs.transfer_source import source_checkpoint
from vision2.training.checkpoint import load_checkpoint

TINY = ["dataset.fraction=0.05", "train.batch_size=32", "train.epochs=1", "device=cpu", "dataset.image_size_px=16"]


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaky")
    run(load_config([*TINY, "fault=leaky_split"]), lambda: folder, "python -m vision2.train fault=leaky_split")
    return folder


def two_seeds(folder, fault: str | None, accuracy: float):
    for seed in (0, 1):
        make_run(folder, f"{fault}-{seed}", configuration(seed=seed, fault=fault), accuracy=accuracy + 0.05 * seed)


def test_the_fault_is_printed_at_the_start_and_at_the_end(tmp_path, capsys):
    run(load_config([*TINY, "fault=double_softmax"]), lambda: tmp_path, "")
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    marked = [index for index, line in enumerate(lines) if line.startswith("FAULT ON PURPOSE, fault=double_softmax: ")]
    assert len(marked) == 2 and marked[0] == 0 and marked[1] == len(lines) - 1


def test_the_mark_is_red_on_a_terminal_but_not_in_a_file(capsys, monkeypatch):
    announce("no_shuffle")
    assert "\033" not in capsys.readouterr().out
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    announce("no_shuffle")
    assert capsys.readouterr().out.startswith("\033[1;31mFAULT")
    announce(None)
    assert capsys.readouterr().out == ""


def test_the_summary_and_the_checkpoint_say_it(leaky):
    summary = json.loads((leaky / "summary.json").read_text())
    assert summary["fault"] == summary["config"]["fault"] == "leaky_split"
    assert load_checkpoint(leaky / "best.pt")["config"]["fault"] == "leaky_split"


def test_a_run_without_a_fault_is_the_same_as_before_the_setting_existed(tmp_path):
    """The same weights, bit for bit, as a run whose strategy was started without this package; nothing in the summary."""
    from vision2.preparation import prepare
    from vision2.strategies import STRATEGIES

    config = load_config(TINY)
    summary = run(config, lambda: tmp_path, "")
    task = prepare(config).task
    fit = STRATEGIES["scratch"].start(task)
    fit.learner.train_epoch(task.images["train"], 1)
    saved = load_checkpoint(tmp_path / "best.pt")["model"]
    assert all(torch.equal(value, saved[name]) for name, value in fit.network.state_dict().items())
    assert "fault" not in summary and summary["config"]["fault"] is None


def test_a_run_cannot_be_resumed_with_or_without_another_fault(leaky):
    for change in ("fault=no_shuffle", "fault=null"):
        with pytest.raises(UserError, match="cannot change fault"):
            config_of_run(str(leaky), [change])
    assert config_of_run(str(leaky), ["train.epochs=2"]).fault == "leaky_split"


def test_nothing_is_transferred_from_a_run_with_a_fault(leaky):
    with pytest.raises(UserError, match="fault=leaky_split, wrong by design"):
        source_checkpoint(str(leaky))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "<strong>fault=leaky_split</strong><span>The training images contain a copy of every test image. These results"),
        ("es", "<strong>fault=leaky_split</strong><span>Las imágenes de entrenamiento contienen una copia de cada imagen de"),
    ],
)
def test_the_page_has_a_red_banner_and_the_table_names_the_fault(tmp_path, language, words):
    two_seeds(tmp_path, "leaky_split", 0.8)
    report = write_report(tmp_path, language=language)
    page = report.page.read_text()
    assert f'<div class="banner contradicted">{words}' in page
    assert "fault=leaky_split" in report.text


def test_a_page_without_faults_has_no_such_banner(tmp_path):
    two_seeds(tmp_path, None, 0.8)
    page = write_report(tmp_path).page.read_text()
    assert "on purpose" not in page and "wrong by design" not in page


def test_correct_runs_of_versions_with_and_without_the_setting_are_one_group_apart_from_the_faulty_ones(tmp_path):
    two_seeds(tmp_path, None, 0.8)
    make_run(tmp_path, "older", configuration(seed=2))
    two_seeds(tmp_path, "leaky_split", 0.9)
    groups = group_runs(read_runs(tmp_path)[0])
    assert {group.label: len(group.runs) for group in groups} == {"correct": 3, "fault=leaky_split": 2}


def test_a_comparison_that_does_not_name_the_fault_never_counts_a_faulty_run(tmp_path):
    two_seeds(tmp_path, None, 0.5)
    two_seeds(tmp_path, "leaky_split", 0.9)
    for seed in (0, 1):
        config = configuration(seed=seed, **{"model.name": "plain20"})
        make_run(tmp_path, f"plain-{seed}", config, accuracy=0.7 + 0.05 * seed)
    runs, metric = read_runs(tmp_path)[0], "metrics.test.accuracy"
    ordinary = Comparison(metric, {"model.name": "resnet20"}, {"model.name": "plain20"})
    asked = Comparison(metric, {"fault": "leaky_split"}, {"fault": None, "model.name": "resnet20"})
    first, second = judge_runs(runs, [ordinary, asked]).findings
    assert not first.ambiguous and first.mean_a < first.mean_b
    assert second.mean_a > second.mean_b
