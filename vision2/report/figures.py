"""Figures that compare groups of runs. Each function returns a new matplotlib Figure, or None if there is nothing to show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from vision2.basics.safe_text import printable
from vision2.pictures.plots import colour, figure_text
from vision2.report.plotting import add_legend, distinct_colours, in_percent, log_x, new_axes
from vision2.report.scores import bounds
from vision2.report.texts import Say
from vision2.runs.groups import Group, label_of
from vision2.stats.intervals import mean_interval

WIDE = 5.6  # inches
LINES_AT_MOST = 10
LABELS_AT_MOST = 14
BARS_UP_TO = 6  # lines; with more, the error bars would overlap
CLASSES_AT_MOST = 30


def overview(groups: Sequence[Group], metric: str, xlabel: str) -> Figure | None:
    """One row per configuration: its runs as points, and their 95 % interval as a bar."""
    groups = [group for group in groups if group.values(metric)]
    if not groups:
        return None
    few = len(groups) <= LABELS_AT_MOST
    figure, axes = new_axes(WIDE, 1.1 + (0.3 if few else 0.2) * len(groups))
    colour = distinct_colours(len(groups))
    for row, group in enumerate(groups):
        values = group.values(metric)
        axes.plot(values, [row] * len(values), "o", color=colour(row), markersize=4, alpha=0.5, markeredgewidth=0)
        if interval := bounds(group, metric):
            axes.plot(interval, [row, row], color=colour(row), linewidth=2)
        axes.plot(np.mean(values), row, "|", color=colour(row), markersize=12, markeredgewidth=2)
    axes.set_yticks(range(len(groups)), [figure_text(group.label) for group in groups], fontsize=9 if few else 7)
    axes.set(xlabel=xlabel, ylim=(len(groups) - 0.5, -0.5))
    in_percent(axes.xaxis)
    return figure


def response(groups: Sequence[Group], key: str, metric: str, ylabel: str) -> Figure | None:
    """A metric against one swept key, with a line for each combination of the others; None for fewer than three values."""
    groups = [group for group in groups if group.values(metric)]
    values = list(dict.fromkeys(group.config.get(key) for group in groups))
    if len(values) < 3:
        return None
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if numeric:
        values.sort()
    place = {value: value if numeric else position for position, value in enumerate(values)}
    figure, axes = new_axes()
    lines: dict[str, list[Group]] = {}
    for group in sorted(groups, key=lambda group: place[group.config.get(key)]):
        lines.setdefault(label_of(group, [other for other in group.named_by if other != key]), []).append(group)
    for index, (label, members) in enumerate(list(lines.items())[:LINES_AT_MOST]):
        x = [place[group.config.get(key)] for group in members]
        means = [float(np.mean(group.values(metric))) for group in members]
        bars = _error_bars(members, metric, means) if len(lines) <= BARS_UP_TO else None
        look = {"color": colour(index), "capsize": 3, "linewidth": 2}
        axes.errorbar(x, means, yerr=bars, fmt="o-", label=figure_text(label), **look)
    if numeric and min(values) > 0 and max(values) / min(values) > 20:
        log_x(axes)
    elif not numeric:
        axes.set_xticks(range(len(values)), [figure_text(str(value)) for value in values], rotation=30, ha="right", fontsize=8)
    axes.set(xlabel=key, ylabel=ylabel)
    in_percent(axes.yaxis)
    if len(lines) > 1:
        add_legend(axes)
    return figure


def _error_bars(groups: Sequence[Group], metric: str, means: Sequence[float]) -> np.ndarray:
    """Lengths (2, N) of the interval below and above each mean; 0 if there is no interval."""
    intervals = [bounds(group, metric) or (mean, mean) for group, mean in zip(groups, means, strict=True)]
    return np.array([(mean - low, high - mean) for mean, (low, high) in zip(means, intervals, strict=True)]).T.clip(0)


def against_cost(
    groups: Sequence[Group], cost: str, metric: str, *, xlabel: str, ylabel: str, scale: float = 1.0
) -> Figure | None:
    """Mean metric against mean cost on a logarithmic axis; None unless two configurations differ in cost."""
    costs = [float(np.mean(group.values(cost) or [0.0])) for group in groups]
    known = [index for index, group in enumerate(groups) if costs[index] > 0 and group.values(metric)]
    if len({round(costs[index], 3) for index in known}) < 2:
        return None
    figure, axes = new_axes()
    colour = distinct_colours(len(groups))
    for index in known:
        estimate, x = mean_interval(groups[index].values(metric)), costs[index] / scale
        spread = np.nan_to_num(estimate.std)
        axes.errorbar(x, estimate.mean, yerr=spread, fmt="o", color=colour(index), capsize=3, markersize=5)
        if len(known) <= LABELS_AT_MOST:
            # Alternate above and below: neighbours in a sweep are often neighbours in the figure.
            place = {"xytext": (5, 4 if index % 2 else -9), "textcoords": "offset points"}
            axes.annotate(figure_text(groups[index].label), (x, estimate.mean), **place, fontsize=6.5)
    log_x(axes)
    axes.margins(x=0.18, y=0.12)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    in_percent(axes.yaxis)
    return figure


def calibration(groups: Sequence[Group], say: Say) -> Figure | None:
    """Reliability diagram: accuracy against confidence, with bins pooled over seeds."""
    figure, axes = new_axes()
    axes.plot([0, 1], [0, 1], color="#8a8f98", linewidth=1, linestyle=":")
    drawn = False
    for index, group in enumerate(groups):
        bins: dict[float, list[dict]] = {}
        for run in group.runs:
            for row in run.get("metrics.test.calibration") or []:
                bins.setdefault(row["low"], []).append(row)
        if not bins:
            continue
        drawn = True
        x, y = (
            [np.average([row[key] for row in rows], weights=[row["n"] for row in rows]) for _, rows in sorted(bins.items())]
            for key in ("confidence", "accuracy")
        )
        label = f"{figure_text(group.label)} (ECE {100 * np.mean(group.values('metrics.test.ece')):.1f} %)"
        axes.plot(x, y, "o-", color=colour(index), markersize=4, linewidth=2, label=label)
    if not drawn:
        return None
    axes.set(xlabel=say("confidence"), ylabel=say("accuracy"), xlim=(0, 1.02), ylim=(0, 1.02))
    in_percent(axes.xaxis, axes.yaxis)
    add_legend(axes)
    return figure


def class_scores(groups: Sequence[Group], classes: Sequence[str], say: Say) -> Figure | None:
    """F1 of each class, one colour per configuration, with the lowest class at the top."""
    scores = {}
    for index, group in enumerate(groups):
        rows = [run.get("metrics.test.per_class") for run in group.runs]
        rows = [[entry["f1"] for entry in row] for row in rows if row and len(row) == len(classes)]
        if rows:
            scores[index] = np.mean(rows, axis=0)
    if not scores:
        return None
    order = np.argsort(np.mean(list(scores.values()), axis=0), kind="stable")[:CLASSES_AT_MOST]
    figure, axes = new_axes(WIDE, 1.1 + 0.26 * len(order))
    for index, values in scores.items():
        look = {"color": colour(index), "markersize": 5, "alpha": 0.8}
        axes.plot(values[order], range(len(order)), "o", label=figure_text(groups[index].label), **look)
    axes.set_yticks(range(len(order)), [figure_text(printable(str(classes[number]))[:24]) for number in order], fontsize=8)
    axes.set(xlabel="F1", ylim=(len(order) - 0.5, -0.5))
    in_percent(axes.xaxis)
    if len(order) < len(classes):
        axes.set_ylabel(say("the {count} classes with the lowest F1", count=len(order)))
    add_legend(axes)
    return figure
