from __future__ import annotations

import json

import pytest

from vision2.compare import main
from vision2.config.compose import load_config
from vision2.experiment import run
from vision2.jobs.strategy_comparison import HELPS, HURTS, NOT_SHOWN, effects

TINY = ["dataset=digits", "dataset.fraction=0.1", "device=cpu", "dataset.image_size_px=16", "train.epochs=1"]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr("vision2.experiment._picture", lambda *_: None)


def verdict(a, b):
    (effect,) = [e for e in effects({"scratch": dict(enumerate(b)), "finetune": dict(enumerate(a))}, "scratch") if e.verdict]
    return effect.verdict


def test_the_verdict_depends_on_the_position_of_the_paired_interval():
    assert verdict([0.9, 0.8, 0.85], [0.8, 0.71, 0.74]) == HELPS
    assert verdict([0.8, 0.71, 0.74], [0.9, 0.8, 0.85]) == HURTS
    assert verdict([0.9, 0.8, 0.7], [0.7, 0.8, 0.85]) == NOT_SHOWN


def test_pairing_shows_differences_that_the_spread_between_seeds_would_hide():
    assert verdict([0.61, 0.72, 0.83, 0.915], [0.60, 0.70, 0.82, 0.90]) == HELPS


def test_a_single_seed_or_seeds_that_change_nothing_show_no_difference():
    assert verdict([0.9], [0.1]) == NOT_SHOWN
    assert verdict([0.9, 0.9, 0.9], [0.1, 0.1, 0.1]) == NOT_SHOWN


def test_only_seeds_of_both_strategies_are_paired():
    found = effects({"scratch": {0: 0.5, 1: 0.6, 2: 0.7}, "finetune": {1: 0.8, 2: 0.95, 3: 0.1}}, "scratch")
    assert found[1].difference.n == 2
    assert found[1].difference.mean == pytest.approx(0.225)


def test_a_comparison_from_an_earlier_run_prints_and_writes_its_verdict(tmp_path, capsys):
    source = tmp_path / "source"
    source.mkdir()
    run(load_config(TINY), lambda: source, "")
    words = [*TINY, f"output_dir={tmp_path}", "seeds=0,1", "strategies=scratch,feature_extraction", f"source={source}"]
    assert main([*words, "strategy.classifier=centroid"]) == 2  # scratch refuses it
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "feature_extraction from source" in printed
    (file,) = tmp_path.rglob("comparison.json")
    record = json.loads(file.read_text())
    assert record["baseline"] == "scratch"
    by_name = {row["strategy"]: row for row in record["strategies"]}
    a, b = by_name["feature_extraction from source"], by_name["scratch"]
    expected = sum(a["by_seed"][seed] - b["by_seed"][seed] for seed in ("0", "1")) / 2
    assert a["difference"]["mean"] == pytest.approx(expected)
    assert main(words) == 0
    assert "epoch 1/1" not in capsys.readouterr().out  # all finished runs were reused


def test_a_source_that_cannot_be_used_is_refused_before_anything_is_trained(tmp_path, capsys):
    assert main([*TINY, f"output_dir={tmp_path}", "strategies=scratch,finetune", f"source={tmp_path}"]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["strategies=scratch"], "needs at least two strategies"),
        (["strategies=scratch,finetun"], "did you mean 'finetune'"),
        (["seeds=a,b"], "whole numbers separated by commas"),
        (["strategy=finetune"], "set by the comparison itself; leave it out"),
        (["model=resnet20"], "has no published weights"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(words, sentence, capsys):
    assert main([*TINY, *words]) == 2
    assert sentence in capsys.readouterr().err
