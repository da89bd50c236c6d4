"""The common style of all plots."""

from __future__ import annotations

from matplotlib.axes import Axes

from vision2.basics.safe_text import printable_lines

# Okabe and Ito's palette (colour-blind safe), then greys.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#6B6B6B", "#A6761D", "#111111")


def colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def figure_text(text: str) -> str:
    """Text with names from files, as matplotlib shows it unchanged: escaped, and with no dollar sign that starts a formula."""
    return printable_lines(text).replace("$", r"\$")


def style_axes(axes: Axes) -> None:
    """Keep only the left and bottom spines, and draw a light grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e6ea", linewidth=0.6)
    axes.set_axisbelow(True)
