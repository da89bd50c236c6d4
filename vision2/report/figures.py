"""Figures over groups of runs. Each function returns a matplotlib Figure of its own, or None with nothing to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from vision2.pictures.plots import COLOURS, colour, style_axes
from vision2.report.texts import Say
from vision2.runs.groups import Group, label_of
from vision2.stats.intervals import mean_interval

SIZE = (4.8, 3.3)  # inches; two stand side by side on a page, one fills a phone
WIDE = 5.6
DPI = 150
LINES_AT_MOST = 10
LABELS_AT_MOST = 14
LABELS_INSIDE = 4  # of a legend; more would hide what is drawn
LABEL_IN_TWO_COLUMNS = 40  # characters
LEGEND_ROW = 0.18  # inches
BARS_UP_TO = 6  # lines with an interval at each point; more would cover each other
CLASSES_AT_MOST = 30


def new_axes(width: float = SIZE[0], height: float = SIZE[1]) -> tuple[Figure, Axes]:
    """A figure with one plot, outside pyplot so that no global list of figures grows."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    axes = figure.add_subplot()
    style_axes(axes)
    axes.tick_params(labelsize=8)
    return figure, axes


def _colours(count: int) -> Callable[[int], str]:
    """A colour each, or one for all where there are too many to tell apart."""
    return colour if count <= len(COLOURS) else lambda _: COLOURS[0]


def learning_curves(groups: Sequence[Group], quantity: str, say: Say) -> Figure | None:
    """`quantity` ("loss" or "accuracy") by epoch: mean over seeds, a band from the lowest to the highest seed.

    None when no run has a second epoch, as for classifiers fitted in one step: points are no curve.
    """
    figure, axes = new_axes()
    longest = 0
    for index, group in enumerate(groups):
        for split, style in (("val", "-"), ("train", "--")):
            by_epoch = _by_epoch(group, f"{split}_{quantity}")
            if not by_epoch:
                continue
            epochs, values = list(by_epoch), list(by_epoch.values())
            longest = max(longest, len(epochs))
            look = {"color": colour(index), "linewidth": 1.5, "marker": "." if len(epochs) == 1 else ""}
            label = group.label if split == "val" else None
            axes.plot(epochs, [np.mean(found) for found in values], style, label=label, **look)
            if max(map(len, values)) > 1:
                low, high = map(min, values), map(max, values)
                axes.fill_between(epochs, list(low), list(high), color=colour(index), alpha=0.15, linewidth=0)
    if longest < 2:
        return None
    axes.set(xlabel=say("epoch"), ylabel=say(quantity))
    axes.xaxis.get_major_locator().set_params(integer=True)
    _legend(axes)
    return figure


def _legend(axes: Axes) -> None:
    """Inside when it is short, else below, where it hides no line; in two columns when names are short enough."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) <= LABELS_INSIDE:
        axes.legend(fontsize=7, framealpha=0.8)
        return
    columns = 2 if max(map(len, labels)) <= LABEL_IN_TWO_COLUMNS else 1
    axes.figure.set_figheight(axes.figure.get_figheight() + LEGEND_ROW * -(-len(labels) // columns))
    axes.figure.legend(handles, labels, fontsize=7, frameon=False, loc="outside lower center", ncols=columns)


def _by_epoch(group: Group, key: str) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for run in group.runs:
        for record in run.history:
            if isinstance(record.get(key), int | float):
                found.setdefault(record["epoch"], []).append(record[key])
    return dict(sorted(found.items()))


def overview(groups: Sequence[Group], metric: str, xlabel: str) -> Figure | None:
    """One row per configuration: its runs as points, their 95 % interval as a bar."""
    groups = [group for group in groups if group.values(metric)]
    if not groups:
        return None
    few = len(groups) <= LABELS_AT_MOST
    figure, axes = new_axes(WIDE, 1.1 + (0.3 if few else 0.2) * len(groups))
    colour = _colours(len(groups))
    for row, group in enumerate(groups):
        values = group.values(metric)
        estimate = mean_interval(values)
        axes.plot(values, [row] * len(values), "o", color=colour(row), markersize=4, alpha=0.5, markeredgewidth=0)
        if len(values) > 1:
            low, high = max(estimate.low, 0.0), min(estimate.high, 1.0)
            axes.plot([low, high], [row, row], color=colour(row), linewidth=1.5)
        axes.plot(estimate.mean, row, "|", color=colour(row), markersize=12, markeredgewidth=2)
    axes.set_yticks(range(len(groups)), [group.label for group in groups], fontsize=8 if few else 6.5)
    axes.set(xlabel=xlabel, ylim=(len(groups) - 0.5, -0.5))
    return figure


def response(groups: Sequence[Group], key: str, metric: str, ylabel: str) -> Figure | None:
    """A metric against one swept key, a line for each combination of the others; None with fewer than three values."""
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
        estimates = [mean_interval(group.values(metric)) for group in members]
        bars = _error_bars(estimates) if len(lines) <= BARS_UP_TO else None
        look = {"color": colour(index), "capsize": 3, "linewidth": 1.5}
        axes.errorbar(x, [estimate.mean for estimate in estimates], yerr=bars, fmt="o-", label=label, **look)
    if numeric and min(values) > 0 and max(values) / min(values) > 20:
        _log_x(axes)
    elif not numeric:
        axes.set_xticks(range(len(values)), [str(value) for value in values], rotation=30, ha="right", fontsize=8)
    axes.set(xlabel=key, ylabel=ylabel)
    if len(lines) > 1:
        _legend(axes)
    return figure


def _error_bars(estimates: Sequence) -> np.ndarray:
    """(2, N) lengths below and above the means of shares; 0 where a single run has no interval."""
    lengths = [(value.mean - max(value.low, 0), min(value.high, 1) - value.mean) for value in estimates]
    return np.nan_to_num(lengths).T.clip(0)


def against_cost(
    groups: Sequence[Group], cost: str, metric: str, *, xlabel: str, ylabel: str, scale: float = 1.0
) -> Figure | None:
    """Mean metric against mean cost on a logarithmic axis; None unless two configurations differ in cost."""
    costs = [float(np.mean(group.values(cost) or [0.0])) for group in groups]
    known = [index for index, group in enumerate(groups) if costs[index] > 0 and group.values(metric)]
    if len({round(costs[index], 3) for index in known}) < 2:
        return None
    figure, axes = new_axes()
    colour = _colours(len(groups))
    for index in known:
        estimate, x = mean_interval(groups[index].values(metric)), costs[index] / scale
        spread = np.nan_to_num(estimate.std)
        axes.errorbar(x, estimate.mean, yerr=spread, fmt="o", color=colour(index), capsize=3, markersize=5)
        if len(known) <= LABELS_AT_MOST:
            # Above and below in turn: neighbours in a sweep are often neighbours in the figure.
            place = {"xytext": (5, 4 if index % 2 else -9), "textcoords": "offset points"}
            axes.annotate(groups[index].label, (x, estimate.mean), **place, fontsize=6.5)
    _log_x(axes)
    axes.margins(x=0.18, y=0.12)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    return figure


def _log_x(axes: Axes) -> None:
    """A logarithmic axis in plain numbers, labelled 1, 2, 5, 10, ... or, over many decades, 1, 10, 100, ...

    Values so close together that none of these lies between them get a linear axis.
    """
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high / low < 2:
        axes.set_xscale("linear")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
        return
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 100 else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def calibration(groups: Sequence[Group], say: Say) -> Figure | None:
    """Reliability diagram: accuracy against confidence, bins summed over seeds."""
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
        label = f"{group.label} (ECE {np.mean(group.values('metrics.test.ece')):.3f})"
        axes.plot(x, y, "o-", color=colour(index), markersize=3.5, linewidth=1.4, label=label)
    if not drawn:
        return None
    axes.set(xlabel=say("confidence"), ylabel=say("accuracy"), xlim=(0, 1.02), ylim=(0, 1.02))
    _legend(axes)
    return figure


def class_scores(groups: Sequence[Group], classes: Sequence[str], say: Say) -> Figure | None:
    """F1 of each class, one colour per configuration, the lowest class on top."""
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
        axes.plot(values[order], range(len(order)), "o", label=groups[index].label, **look)
    axes.set_yticks(range(len(order)), [str(classes[number])[:24] for number in order], fontsize=8)
    axes.set(xlabel="F1", ylim=(len(order) - 0.5, -0.5))
    if len(order) < len(classes):
        axes.set_ylabel(say("the {count} lowest classes", count=len(order)))
    _legend(axes)
    return figure


def gradient_norms(groups: Sequence[Group], say: Say) -> Figure | None:
    """Mean gradient norm of each stage from input to output, in the first epoch and the last."""
    figure, axes = new_axes()
    drawn: list[list[str]] = []
    for index, group in enumerate(groups):
        for epoch, style in ((0, "o-"), (-1, "o--")):
            records = [run.history[epoch].get("gradient_norms") for run in group.runs if run.history]
            records = [record for record in records if record]
            stages = list(records[0]) if records else []
            if len(stages) < 2:
                continue
            means = [np.mean([norms[stage] for norms in records if norms.get(stage)] or [np.nan]) for stage in stages]
            look = {"color": colour(index), "markersize": 3, "linewidth": 1.3}
            label = group.label if epoch == 0 else None
            axes.plot(np.linspace(0, 1, len(stages)), means, style, label=label, **look)
            drawn.append(stages)
    if not drawn:
        return None
    axes.set_yscale("log")
    axes.set(xlabel=say("input → output"), ylabel=say("gradient norm"))
    if all(stages == drawn[0] for stages in drawn):
        axes.set_xticks(np.linspace(0, 1, len(drawn[0])), drawn[0], rotation=30, ha="right", fontsize=8)
    _legend(axes)
    return figure
