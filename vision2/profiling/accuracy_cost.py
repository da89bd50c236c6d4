"""The lecture's plot: published accuracy against cost, one bubble per model, whose area shows its parameters."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from vision2.pictures.plots import colour, style_axes
from vision2.profiling.model_summary import ModelSummary

AREA_PER_MILLION = 9.0  # of a bubble in square points, per million parameters
SMALLEST_AREA = 14.0
LABEL_PX = (7.8, 16)  # width of a character and height of a line, at 6.5 points and 150 dpi
ABOVE_BELOW = [sign * step for step in range(40) for sign in (1, -1)]  # line heights by which a label may be moved


def accuracy_against_cost(summaries: Sequence[ModelSummary]) -> Figure | None:
    """One plot per data set with published accuracies (ImageNet, CIFAR-10); None if no model has one."""
    sets: dict[str, list[ModelSummary]] = {}
    for summary in summaries:
        own_size = summary.costs.image_size_px == summary.card.image_size_px
        if own_size and summary.published.top1_percent is not None:
            sets.setdefault(summary.card.accuracy_set, []).append(summary)
    if not sets:
        return None
    figure = Figure(figsize=(7.6, 5.2 * len(sets)), layout="constrained", dpi=150)
    for position, (name, members) in enumerate(sets.items(), start=1):
        _plot(figure.add_subplot(len(sets), 1, position), name, members)
    return figure


def _plot(axes: Axes, name: str, members: Sequence[ModelSummary]) -> None:
    families = list(dict.fromkeys(member.card.family for member in members))
    members = sorted(members, key=lambda member: -member.costs.parameters)  # small bubbles on top of large ones
    for member in members:
        millions = member.costs.parameters / 1e6
        axes.scatter(
            member.costs.multiply_adds,
            member.card.top1_percent,
            s=max(SMALLEST_AREA, AREA_PER_MILLION * millions),
            color=colour(families.index(member.card.family)),
            alpha=0.6,
            edgecolor="white",
            linewidth=0.8,
        )
    axes.set_xscale("log")
    axes.margins(x=0.16, y=0.08)
    _label(axes, members)
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e9:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    style_axes(axes)
    axes.set_xlabel("multiply-adds per image, in 10⁹ (log scale)")
    axes.set_ylabel(f"published top-1 accuracy on {name}, %")
    axes.set_title("bubble area: parameters; colour: family", fontsize=9, color="#555555")


def _label(axes: Axes, members: Sequence[ModelSummary]) -> None:
    """Write names next to their bubbles, each moved up or down until it overlaps no other name."""
    axes.figure.draw_without_rendering()  # fixes the layout, so that data can be converted to pixels
    taken: list[tuple[float, float, float, float]] = []
    for member in sorted(members, key=lambda member: -member.card.top1_percent):
        point = (member.costs.multiply_adds, member.card.top1_percent)
        x, y = axes.transData.transform(point)
        width, height = LABEL_PX[0] * len(member.label), LABEL_PX[1]
        shift = next((s for s in ABOVE_BELOW if _free(taken, x, y + s * height, width, height)), 0)
        taken.append((x, y + shift * height, width, height))
        axes.annotate(
            member.label,
            point,
            xytext=(6, shift * height * 72 / axes.figure.dpi),
            textcoords="offset points",
            fontsize=6.5,
            va="center",
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.5} if shift else None,
        )


def _free(taken: Sequence[tuple[float, float, float, float]], x: float, y: float, width: float, height: float) -> bool:
    return all(abs(y - v) >= (height + h) / 2 or x + width < u or u + w < x for u, v, w, h in taken)
