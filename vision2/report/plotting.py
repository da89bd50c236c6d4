"""Axes for the figures of a report: size, legend, percent and logarithmic scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from vision2.pictures.plots import COLOURS, colour, style_axes

SIZE = (4.8, 3.3)  # inches; two fit side by side on a page, one fills a phone
DPI = 150
LABELS_INSIDE = 4  # legend labels; more would hide the data
LABEL_IN_TWO_COLUMNS = 40  # characters
LEGEND_ROW = 0.21  # inches


def new_axes(width: float = SIZE[0], height: float = SIZE[1]) -> tuple[Figure, Axes]:
    """A figure with one plot, created without pyplot, which would keep it in a global list."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    axes = figure.add_subplot()
    style_axes(axes)
    axes.tick_params(labelsize=9)
    return figure, axes


def distinct_colours(count: int) -> Callable[[int], str]:
    """A function from index to colour: all different, or all the same if there are too many to tell apart."""
    return colour if count <= len(COLOURS) else lambda _: COLOURS[0]


def add_legend(axes: Axes, styles: Mapping[str, str] | None = None) -> None:
    """Add a legend: inside the axes if it is short, else below them, in two columns if the labels are short enough.

    `styles` maps line styles ("-", "--") to their meanings.
    """
    handles, labels = axes.get_legend_handles_labels()
    handles += [Line2D([], [], color="#444444", linestyle=style, linewidth=2) for style in styles or ()]
    labels += (styles or {}).values()
    if len(labels) <= LABELS_INSIDE:
        axes.legend(handles, labels, fontsize=9, framealpha=0.8)
        return
    columns = 2 if max(map(len, labels)) <= LABEL_IN_TWO_COLUMNS else 1
    axes.figure.set_figheight(axes.figure.get_figheight() + LEGEND_ROW * -(-len(labels) // columns))
    axes.figure.legend(handles, labels, fontsize=8.5, frameon=False, loc="outside lower center", ncols=columns)


def in_percent(*sides: Axis) -> None:
    """Show fractions as percentages."""
    for side in sides:
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.6g} %"))


def log_x(axes: Axes) -> None:
    """Make the x axis logarithmic, with plain numbers at 1, 2, 5, 10, ... or, over many decades, at 1, 10, 100, ...

    The axis is linear if its range is so narrow that it might contain none of these.
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
