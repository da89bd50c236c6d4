"""A confusion matrix as a picture, coloured by the share of each true class, with counts where they fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.safe_text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COUNTS_UP_TO = 20  # classes; with more, the numbers would be unreadable
NAMES_UP_TO = 40


def confusion_figure(
    confusion: Sequence[Sequence[float]], classes: Sequence[str], *, words: tuple[str, str] = ("true class", "predicted class")
) -> Figure:
    """A new figure with a confusion matrix, created without pyplot; see `draw_confusion`."""
    from matplotlib.figure import Figure

    side = min(2.4 + 0.28 * len(classes), 9)
    figure = Figure(figsize=(side, side), layout="constrained", dpi=110)
    draw_confusion(figure.add_subplot(), confusion, classes, words=words)
    return figure


def draw_confusion(
    axes: Axes,
    confusion: Sequence[Sequence[float]],
    classes: Sequence[str],
    *,
    words: tuple[str, str] = ("true class", "predicted class"),
) -> None:
    """Draw a matrix whose rows are true classes; colour shows the share within a row, so rare classes are visible too."""
    from vision2.pictures.plots import figure_text

    counts = np.asarray(confusion, dtype=float)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(ylabel=words[0], xlabel=words[1])
    if len(classes) <= NAMES_UP_TO:
        small = 8 if len(classes) <= 12 else 6
        names = [printable(name) for name in classes]
        names = [figure_text(name if len(name) <= 14 else name[:13] + "…") for name in names]
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=small)
        axes.set_yticks(range(len(names)), names, fontsize=small)
    if len(classes) <= COUNTS_UP_TO:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{counts[row, column]:g}", ha="center", va="center", fontsize=7, color=colour)
