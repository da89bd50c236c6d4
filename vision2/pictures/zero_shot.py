"""Zero-shot accuracies as bars: the unseen classes among themselves, and seen and unseen ones among all."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from vision2.pictures.plots import colour, figure_text, style_axes

WIDTH = 0.27


def zero_shot_figure(rows: Sequence[dict]) -> Figure:
    """Three bars with Wilson intervals for each set of left-out classes; `rows` have left_out, unseen and generalised."""
    figure = Figure(figsize=(max(5.0, 1.1 * len(rows) + 2.5), 4.0), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    style_axes(axes)
    shown = {
        "unseen, among the unseen": [row["unseen"] for row in rows],
        "seen, among all": [row["generalised"]["seen"] for row in rows],
        "unseen, among all": [row["generalised"]["unseen"] for row in rows],
    }
    for place, (name, found) in enumerate(shown.items()):
        heights = [100 * score["accuracy"] for score in found]
        low = [max(0.0, 100 * (score["accuracy"] - score["accuracy_low"])) for score in found]
        high = [max(0.0, 100 * (score["accuracy_high"] - score["accuracy"])) for score in found]
        x = [index + (place - 1) * WIDTH for index in range(len(rows))]
        axes.bar(x, heights, WIDTH, color=colour(place), label=name, yerr=[low, high], error_kw={"linewidth": 0.8})
    axes.axhline(100 * rows[0]["unseen"]["chance"], color="grey", linewidth=0.8, linestyle=":", label="chance among the unseen")
    axes.set_xticks(range(len(rows)), [figure_text(", ".join(row["left_out"])) for row in rows])
    axes.set(xlabel="left-out classes", ylabel="test accuracy, %", ylim=(0, 105))
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=2, frameon=False)
    return figure
