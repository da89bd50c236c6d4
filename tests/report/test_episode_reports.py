"""Runs that were measured on episodes: each kind has a column, and one pair shows the interval over episodes, in pairs."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_runs import configuration, make_run
from scipy.stats import ttest_rel

from vision2.report.build import write_report
from vision2.report.comparisons import judge_runs, parse_comparisons
from vision2.runs.read import read_runs
from vision2.runs.records import RunRecord
from vision2.stats.verdict import INCONCLUSIVE

KIND = "20-way_1-shot"
CLAIM = {"metric": f"metrics.test.{KIND}.accuracy", "a": {"strategy.name": "protonet"}, "b": {"strategy.name": "scratch"}}


@pytest.fixture
def accuracies(tmp_path) -> dict[str, np.ndarray]:
    """Accuracies in 50 episodes of two runs with the same seed: most of the difference is shared by the episodes."""
    stream = np.random.default_rng(0)
    shared, found = stream.uniform(0.4, 0.8, 50), {}
    for name, gain in (("scratch", 0.0), ("protonet", 0.1)):
        found[name] = shared + gain + stream.normal(0, 0.01, 50)
        one = {"accuracy": found[name].mean(), "accuracy_low": 0.1, "accuracy_high": 0.9, "episodes": 50}
        metrics = {"test": {**one, "5-way_1-shot": one, KIND: one}, "val": {**one, KIND: one}}
        run = make_run(tmp_path, name, configuration(**{"strategy.name": name}), metrics=metrics)
        RunRecord(run).write_episodes({KIND: found[name]})
    return found


def test_one_pair_decides_nothing_but_shows_the_interval_over_its_episodes(tmp_path, accuracies):
    verdict = judge_runs(read_runs(tmp_path)[0], parse_comparisons([CLAIM]))
    expected = ttest_rel(accuracies["protonet"], accuracies["scratch"]).confidence_interval(0.95)
    assert verdict.overall == INCONCLUSIVE
    assert verdict.findings[0].test_noise == pytest.approx(tuple(expected))
    assert expected.high - expected.low < 0.01


def test_without_the_file_of_episodes_there_is_no_such_interval(tmp_path, accuracies):
    (tmp_path / "protonet" / "episodes.npz").write_bytes(b"broken")
    assert judge_runs(read_runs(tmp_path)[0], parse_comparisons([CLAIM])).findings[0].test_noise is None


def test_the_report_has_a_column_for_each_kind_of_episode(tmp_path, accuracies):
    report = write_report(tmp_path)
    assert "5-way 1-shot" in report.text
    page = report.page.with_name("report.md").read_text()
    assert "| configuration | 5-way 1-shot | 20-way 1-shot |" in page
    assert f"| protonet | {100 * accuracies['protonet'].mean():.2f} % [10.00, 90.00] |" in page
    assert "50 episodes of one run" in page


def test_the_kinds_of_episode_keep_their_names_in_spanish(tmp_path, accuracies):
    page = write_report(tmp_path, language="es").page.with_name("report.md").read_text()
    assert "| configuración | 5-way 1-shot | 20-way 1-shot |" in page
