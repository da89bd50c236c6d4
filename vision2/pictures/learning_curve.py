"""Accuracy against labelled images per class, with a curve for each kind of features and classifier."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure


def learning_curve_figure(points: Sequence, chance: float) -> Figure:
    """Plot `points`, which have features, classifier, shots and accuracy (an estimate with mean, low, high and n)."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    colours = dict(zip(dict.fromkeys(point.features for point in points), ("C0", "C1", "C2"), strict=False))
    for name in dict.fromkeys((point.features, point.classifier) for point in points):
        curve = [point for point in points if (point.features, point.classifier) == name]
        x, y = [point.shots for point in curve], [100 * point.accuracy.mean for point in curve]
        style = "-o" if name[1].startswith("centroid") else "--s"
        axes.plot(x, y, style, color=colours[name[0]], markersize=4, label=", ".join(name))
        if curve[0].accuracy.n > 1:
            bounds = [[100 * bound for bound in (p.accuracy.low, p.accuracy.high)] for p in curve]
            axes.fill_between(x, *zip(*bounds, strict=True), color=colours[name[0]], alpha=0.15, linewidth=0)
    axes.axhline(100 * chance, color="grey", linewidth=0.8, linestyle=":", label="chance")
    axes.set_xscale("log")
    shown = sorted({point.shots for point in points})
    axes.set_xticks(shown, [str(count) for count in shown])
    axes.minorticks_off()
    axes.set_xlabel("labelled images per class")
    axes.set_ylabel("test accuracy, %")
    axes.legend(fontsize=8)
    return figure
