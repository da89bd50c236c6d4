"""Numbers with their intervals: what an interval covers, and the chance level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_up_runs import configuration, make_run, with_split

from vision2.report import scores
from vision2.report.seeds import seed_effect
from vision2.report.tables import COLUMNS, RANKED_BY, ranking
from vision2.report.texts import untranslated
from vision2.runs.groups import group_runs
from vision2.runs.read import read_runs
from vision2.stats.intervals import mean_interval, wilson_interval
from vision2.stats.metrics import summarise_predictions

ACCURACY = "metrics.test.accuracy"


def group_of(folder):
    (group,) = group_runs(read_runs(folder)[0])
    return group


def seeds(folder, accuracies, *, splits=None, n_train=240, **changes):
    """A group of one run per accuracy; `splits` gives the (fingerprint, test ids) of each."""
    for seed, accuracy in enumerate(accuracies):
        counts = {"counts": {"train": {"cat": n_train}}}
        run = make_run(folder, f"r{seed}", configuration(seed=seed, **changes), accuracy=accuracy, data=counts)
        if splits:
            with_split(run, *splits[seed])
    return group_of(folder)


def test_a_single_run_has_the_interval_of_its_test_images_and_says_so(tmp_path):
    group = seeds(tmp_path, [0.9])
    low, high = wilson_interval(54, 60)
    assert scores.bounds(group, ACCURACY) == pytest.approx((low, high))
    assert scores.cell(group, ACCURACY, untranslated) == f"90.00 % [{100 * low:.2f}, {100 * high:.2f}]"
    assert scores.covers(group, ACCURACY, untranslated) == "60 images of one run"


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        ([("f", "abc")] * 3, "3 seeds: initialisation, data order"),
        ([("f", "abc"), ("g", "abc"), ("h", "abc")], "3 seeds: initialisation, data order, training images"),
        ([("f", "abc"), ("g", "bcd"), ("h", "cde")], "3 seeds: initialisation, data order, split (corrected)"),
        (None, "3 seeds"),
    ],
)
def test_an_interval_over_seeds_states_what_the_seeds_vary(tmp_path, splits, words):
    group = seeds(tmp_path, [0.7, 0.8, 0.9], splits=splits)
    assert scores.covers(group, ACCURACY, untranslated) == words
    corrected = mean_interval([0.7, 0.8, 0.9], test_to_train=60 / 240)  # Nadeau and Bengio: 1/3 + 60/240
    expected = corrected if "corrected" in words else mean_interval([0.7, 0.8, 0.9])
    assert scores.estimate(group, ACCURACY) == pytest.approx(expected)


def test_the_files_of_a_run_are_read_once_for_all_metrics_of_a_split(tmp_path, monkeypatch):
    group = seeds(tmp_path, [0.7, 0.8, 0.9], splits=[("f", "abc"), ("g", "bcd"), ("h", "cde")])
    read, load = [], np.load
    monkeypatch.setattr(np, "load", lambda path, **options: read.append(path) or load(path, **options))
    for _ in range(2):
        for name in ("accuracy", "macro_f1", "n"):
            scores.bounds(group, f"metrics.test.{name}")
            scores.covers(group, f"metrics.test.{name}", untranslated)
    assert len(read) == len(set(read)) == 3


def test_with_a_fraction_of_the_images_the_correlation_is_the_overlap_of_the_test_images(tmp_path):
    """n_test / n_train represents rho / (1 - rho); with a hundredth of the images it would be 100 times too large."""
    splits = [("f", range(10)), ("g", range(8, 18)), ("h", range(16, 26))]  # two seeds share 2 of 10
    group = seeds(tmp_path, [0.7, 0.8, 0.9], splits=splits, n_train=6, **{"dataset.fraction": 0.01})
    assert seed_effect(group.runs).test_to_train == pytest.approx(0.2 / 0.8)
    assert seed_effect(group.runs, split=None).test_to_train == 0, "training accuracy was not measured on those images"


def test_identical_collapsed_runs_have_an_interval_over_images_not_over_seeds(tmp_path):
    group = seeds(tmp_path, [1 / 3] * 3)
    text = scores.cell(group, ACCURACY, untranslated)
    low, high = wilson_interval(20, 60)
    assert text == f"33.33 % [{100 * low:.2f}, {100 * high:.2f}] (at chance: 33.3 %)"
    assert scores.covers(group, ACCURACY, untranslated) == "60 images; all 3 runs score the same"
    assert math.isnan(scores.estimate(group, ACCURACY).low), "no interval over seeds in table.csv either"


def test_an_accuracy_at_chance_is_marked(tmp_path):
    assert "chance" not in scores.cell(seeds(tmp_path / "good", [0.9, 0.8]), ACCURACY, untranslated)
    mixed = scores.cell(seeds(tmp_path / "mixed", [0.9, 0.4]), ACCURACY, untranslated)
    assert mixed.endswith("(1 of 2 runs at chance: 33.3 %)")
    validation = seeds(tmp_path / "bad", [0.3, 0.4])
    assert scores.cell(validation, "metrics.val.accuracy", untranslated).endswith("(at chance: 33.3 %)")


def test_chance_is_the_share_of_the_most_frequent_class_not_one_over_the_number_of_classes(tmp_path):
    labels = np.array([0] * 90 + [1] * 10)
    always_the_first = summarise_predictions(np.tile([0.9, 0.1], (100, 1)), labels)
    make_run(tmp_path, "a", configuration(), metrics={"test": always_the_first})
    assert scores.cell(group_of(tmp_path), ACCURACY, untranslated).endswith("(at chance: 90.0 %)")


def test_rows_name_the_network_the_weights_and_the_data_that_ran(tmp_path):
    lineage = [{"run": "/x/outputs/cats_vs_dogs/resnet18-scratch/2026", "dataset": "cats_vs_dogs", "model": "resnet18"}]
    own = {"weights": {"source": "/x/best.pt"}, "lineage": lineage}
    make_run(tmp_path, "1", configuration(**{"strategy.name": "finetune"}), **own)
    make_run(tmp_path, "2", configuration(**{"dataset.name": "folder", "dataset.root": "/home/me/plants"}))
    headings, rows = ranking(group_runs(read_runs(tmp_path)[0]), RANKED_BY)
    assert headings[1] == "network, weights, data"
    assert [row[1] for row in rows] == [
        "resnet20, resnet18 weights trained on cats_vs_dogs, digits",
        "resnet20, random initialisation, folder plants",
    ]


def test_training_throughput_does_not_share_a_column_with_other_rates(tmp_path):
    """Runs that only fit a classifier on features have no images per second in their summary; the table shows "-"."""
    make_run(tmp_path, "1", configuration())
    make_run(tmp_path, "2", configuration(**{"strategy.name": "feature_extraction"}), images_per_second=None)
    trained, fitted = group_runs(read_runs(tmp_path)[0])
    assert ("training images/s", "images_per_second") in COLUMNS
    assert [scores.cell(group, "images_per_second", untranslated) for group in (trained, fitted)] == ["900", "-"]
