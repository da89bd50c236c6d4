"""Figures of the course of training: learning curves and gradient norms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from vision2.pictures.plots import colour, figure_text
from vision2.report.faults import mark_faults
from vision2.report.plotting import add_legend, in_percent, new_axes
from vision2.report.texts import Say
from vision2.runs.groups import Group

CLIPPED_ABOVE = 3  # multiples of the typical loss


def learning_curves(groups: Sequence[Group], quantity: str, say: Say) -> Figure | None:
    """Plot `quantity` ("loss" or "accuracy") by epoch: the mean over seeds, and a band from the lowest value to the highest.

    None if every run has a single epoch, as for classifiers fitted in one step: a point is not a curve.
    """
    figure, axes = new_axes()
    longest, drawn, first = 0, [], []
    for index, group in enumerate(groups):
        for split, style in (("val", "-"), ("train", "--")):
            by_epoch = _by_epoch(group, f"{split}_{quantity}")
            if not by_epoch:
                continue
            epochs, values = list(by_epoch), list(by_epoch.values())
            longest = max(longest, len(epochs))
            means = [float(np.mean(found)) for found in values]
            drawn += means
            first += means[:1] if split == "train" else []
            look = {"color": colour(index), "linewidth": 2, "marker": "." if len(epochs) == 1 else ""}
            label = figure_text(group.label) if split == "val" else None
            axes.plot(epochs, means, style, label=label, **look)
            if max(map(len, values)) > 1:
                low, high = map(min, values), map(max, values)
                axes.fill_between(epochs, list(low), list(high), color=colour(index), alpha=0.15, linewidth=0)
    if longest < 2:
        return None
    axes.set(xlabel=say("epoch"), ylabel=say(quantity))
    axes.xaxis.get_major_locator().set_params(integer=True)
    if quantity == "accuracy":
        in_percent(axes.yaxis)
    else:
        _clip(axes, drawn, first, say)
    mark_faults(axes, groups, say)
    add_legend(axes, {"-": say("validation"), "--": say("training")})
    return figure


def _clip(axes: Axes, drawn: Sequence[float], first: Sequence[float], say: Say) -> None:
    """Cut the loss axis if a few huge values would flatten all curves, and say so in its label.

    A typical loss is at most the third quartile of the plotted values or the median training loss of the first epoch,
    whichever is larger.
    """
    usual = max(float(np.quantile(drawn, 0.75)), float(np.median(first or drawn)))
    if max(drawn) <= CLIPPED_ABOVE * usual:
        return
    top = 1.1 * max(value for value in drawn if value <= CLIPPED_ABOVE * usual)
    axes.set_ylim(top=top, bottom=min(0.0, *drawn))
    highest = say("axis cut at {top}, highest value {highest}", top=f"{top:.3g}", highest=f"{max(drawn):.3g}")
    axes.set_ylabel(f"{axes.get_ylabel()}\n({highest})", fontsize=8)


def _by_epoch(group: Group, key: str) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for run in group.runs:
        for record in run.history:
            if isinstance(record.get(key), int | float):
                found.setdefault(record["epoch"], []).append(record[key])
    return dict(sorted(found.items()))


def gradient_norms(groups: Sequence[Group], say: Say) -> Figure | None:
    """Plot the mean gradient norm of each stage, from input to output, in the first and last epochs."""
    figure, axes = new_axes()
    longest = max((len(run.history) for group in groups for run in group.runs), default=0)
    drawn: list[list[str]] = []
    for index, group in enumerate(groups):
        for epoch, style in ((0, "o-"), (-1, "o--"))[: max(1, min(longest, 2))]:
            records = [run.history[epoch].get("gradient_norms") for run in group.runs if run.history]
            records = [record for record in records if record]
            stages = list(records[0]) if records else []
            if len(stages) < 2:
                continue
            means = [np.mean([norms[stage] for norms in records if norms.get(stage)] or [np.nan]) for stage in stages]
            look = {"color": colour(index), "markersize": 4, "linewidth": 1.8}
            label = figure_text(group.label) if epoch == 0 else None
            axes.plot(np.linspace(0, 1, len(stages)), means, style, label=label, **look)
            drawn.append(stages)
    if not drawn:
        return None
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=say("input → output"), ylabel=say("gradient norm"))
    if all(stages == drawn[0] for stages in drawn):
        axes.set_xticks(np.linspace(0, 1, len(drawn[0])), drawn[0], rotation=30, ha="right", fontsize=8)
    mark_faults(axes, groups, say)
    add_legend(axes, {"-": say("first epoch"), "--": say("last epoch")} if longest > 1 else None)
    return figure
