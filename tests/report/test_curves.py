"""Curves over epochs: shares in percent, a legend that names the line styles, and an axis that ignores huge losses."""

from __future__ import annotations

import json

import pytest
from made_up_runs import configuration, make_run

from vision2.report.curves import gradient_norms, learning_curves
from vision2.report.figures import against_cost, overview
from vision2.report.texts import untranslated
from vision2.runs.groups import group_runs
from vision2.runs.read import read_runs

ACCURACY = "metrics.test.accuracy"


def groups(folder, losses=None):
    for model in ("plain20", "resnet20"):
        run = make_run(folder, model, configuration(**{"model.name": model}), parameters=270_000 + len(model))
        if losses:
            lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
            rows = [json.dumps(line | {"val_loss": loss}) for line, loss in zip(lines, losses, strict=True)]
            (run / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    return group_runs(read_runs(folder)[0])


def legend(figure):
    (axes,) = figure.axes
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_legend_names_the_line_styles(tmp_path):
    found = groups(tmp_path)
    for quantity in ("loss", "accuracy"):
        assert legend(learning_curves(found, quantity, untranslated)) == ["plain20", "resnet20", "validation", "training"]
    assert legend(gradient_norms(found, untranslated)) == ["plain20", "resnet20", "first epoch", "last epoch"]


@pytest.mark.parametrize(("losses", "cut"), [((1.2, 900.0, 0.4), True), ((40.0, 1.0, 0.9), True), ((2.3, 0.2, 0.1), False)])
def test_one_huge_validation_loss_does_not_flatten_the_curves_and_the_label_states_the_cut(tmp_path, losses, cut):
    (axes,) = learning_curves(groups(tmp_path, losses), "loss", untranslated).axes
    assert (axes.get_ylim()[1] < max(losses)) == cut
    assert axes.get_ylim()[1] < 4
    assert (f"highest value {max(losses):.3g}" in axes.get_ylabel()) == cut


def test_every_axis_shows_shares_in_percent(tmp_path):
    found = groups(tmp_path)
    curve, ranks = learning_curves(found, "accuracy", untranslated), overview(found, ACCURACY, "test accuracy")
    cost = against_cost(found, "parameters", ACCURACY, xlabel="parameters", ylabel="accuracy")
    for axis in (curve.axes[0].yaxis, ranks.axes[0].xaxis, cost.axes[0].yaxis):
        assert axis.get_major_formatter()(0.9, 0) == "90 %"
