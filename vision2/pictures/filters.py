"""The filters of the first layer as a picture: the general patterns that transfer learning reuses."""

from __future__ import annotations

import math

import numpy as np
from torch import nn

FILTERS_AT_MOST = 64
CELL_PX = 40


def first_layer_filters(network: nn.Module) -> np.ndarray | None:
    """Up to 64 filters of the first convolution in a grid (H, W, 3) uint8; None for a network without convolutions.

    Each filter is scaled to its own range, to show its pattern rather than its strength. Filters whose input does not have
    three channels are averaged over their inputs and shown in grey.
    """
    convolution = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    if convolution is None:
        return None
    weights = convolution.weight.detach().float().cpu()[:FILTERS_AT_MOST].numpy()
    if weights.shape[1] != 3:
        weights = weights.mean(1, keepdims=True).repeat(3, axis=1)
    low, high = weights.min((1, 2, 3), keepdims=True), weights.max((1, 2, 3), keepdims=True)
    pictures = (255 * (weights - low) / np.maximum(high - low, 1e-12)).astype(np.uint8).transpose(0, 2, 3, 1)
    zoom = max(1, CELL_PX // pictures.shape[1])
    return grid(pictures.repeat(zoom, axis=1).repeat(zoom, axis=2), columns=math.ceil(math.sqrt(len(pictures) * 2)))


def grid(pictures: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Arrange pictures (N, h, w, 3) row by row in one picture with a white background."""
    n, height, width, _ = pictures.shape
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, dtype=np.uint8)
    for index, picture in enumerate(pictures):
        top, left = gap + index // columns * (height + gap), gap + index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = picture
    return canvas
