"""One episode as a figure: the support images above, a query of each class on the left, and how alike they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS_AT_MOST = 10  # queries
CELL_INCHES = 0.75


def scores_figure(support: np.ndarray, query: np.ndarray, scores: np.ndarray) -> Figure:
    """A table with a column for each class and a row for each query, whose own class is framed.

    Args:
        support: (way, H, W, 3) uint8, one image of each class.
        query: (way, H, W, 3) uint8, one image of each class, in the same order.
        scores: (way, way) of each query for each class; a cell shows the softmax in percent and the score itself. For the
            nearest centroid, it is minus the squared distance or the cosine.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    shown, way = min(len(query), ROWS_AT_MOST), len(support)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    figure = Figure(figsize=((way + 1) * CELL_INCHES, (shown + 1) * CELL_INCHES), layout="constrained")
    axes = figure.subplots(shown + 1, way + 1, squeeze=False)
    for cell in axes.flat:
        cell.set_xticks([])
        cell.set_yticks([])
        cell.set_frame_on(False)
    for column in range(way):
        axes[0, column + 1].imshow(support[column])
    for row in range(shown):
        axes[row + 1, 0].imshow(query[row])
        for column in range(way):
            cell, share = axes[row + 1, column + 1], shares[row, column]
            cell.add_patch(Rectangle((0, 0), 1, 1, facecolor="tab:blue", alpha=float(share), edgecolor="none"))
            if row == column:
                cell.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor="black", linewidth=1.5))
            cell.text(0.5, 0.5, f"{share:.0%}\n{scores[row, column]:.3g}", ha="center", va="center", fontsize=7)
    return figure
