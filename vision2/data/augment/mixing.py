"""Augmentations applied after normalisation: erasing a rectangle of an image, mixing two images and their targets."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

ERASED_AREA = (0.02, 0.33)  # share of the image; this and the aspect ratio from Zhong et al. 2017, arXiv 1708.04896
ERASED_LOG_RATIO = math.log(3.3)
ERASING_DRAWS = 5
MIX_DRAWS = 3


def erase(images: torch.Tensor, draws: np.ndarray, probability: float) -> torch.Tensor:
    """Random erasing: fill a rectangle of normalised (B, 3, S, S) with 0, the mean colour; `draws` is (B, ERASING_DRAWS)."""
    size = images.shape[-1]
    area = size * size * (ERASED_AREA[0] + (ERASED_AREA[1] - ERASED_AREA[0]) * draws[:, 1])
    ratio = np.exp(ERASED_LOG_RATIO * (2 * draws[:, 2] - 1))
    height = np.clip(np.rint(np.sqrt(area * ratio)), 1, size) * (draws[:, 0] < probability)
    width = np.clip(np.rint(np.sqrt(area / ratio)), 1, size)
    top, left = np.floor(draws[:, 3] * (size - height + 1)), np.floor(draws[:, 4] * (size - width + 1))
    return images.masked_fill_(_rectangles(top, left, height, width, images), 0.0)


def mixup(
    images: torch.Tensor, labels: torch.Tensor, draws: np.ndarray, *, alpha: float, num_classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend each image with its neighbour, with a weight from Beta(alpha, alpha); Zhang et al. 2017, arXiv 1710.09412.

    `draws` is (B, MIX_DRAWS). Targets become (B, K) class shares. The neighbour is the next image of the batch, so with
    mixup and cutmix (and only with these) an image depends on its batch.
    """
    share = _single(_beta(draws[:, 0], alpha), images)
    weights = share.view(-1, 1, 1, 1)
    return images * weights + images.roll(-1, 0) * (1 - weights), _shared_targets(labels, share, num_classes)


def cutmix(
    images: torch.Tensor, labels: torch.Tensor, draws: np.ndarray, *, alpha: float, num_classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste a rectangle of the neighbour, with its area from Beta(alpha, alpha); Yun et al. 2019, arXiv 1905.04899.

    The rectangle may extend beyond the border; the targets count the pixels actually pasted.
    """
    size = images.shape[-1]
    half = np.sqrt(1 - _beta(draws[:, 0], alpha)) * size / 2
    middle_y, middle_x = draws[:, 1] * size, draws[:, 2] * size
    top, bottom = (np.rint(np.clip(edge, 0, size)) for edge in (middle_y - half, middle_y + half))
    left, right = (np.rint(np.clip(edge, 0, size)) for edge in (middle_x - half, middle_x + half))
    share = _single(1 - (bottom - top) * (right - left) / size**2, images)
    pasted = _rectangles(top, left, bottom - top, right - left, images)
    return torch.where(pasted, images.roll(-1, 0), images), _shared_targets(labels, share, num_classes)


def _shared_targets(labels: torch.Tensor, share: torch.Tensor, num_classes: int) -> torch.Tensor:
    one_hot = functional.one_hot(labels, num_classes).float()
    return one_hot * share[:, None] + one_hot.roll(-1, 0) * (1 - share[:, None])


def _beta(draws: np.ndarray, alpha: float) -> np.ndarray:
    """Map uniform draws to Beta(alpha, alpha) by its inverse distribution function."""
    from scipy.special import betaincinv

    return betaincinv(alpha, alpha, draws)


def _rectangles(top: np.ndarray, left: np.ndarray, height: np.ndarray, width: np.ndarray, images: torch.Tensor) -> torch.Tensor:
    """(B, 1, S, S) bool, true inside each image's rectangle."""
    edges = _single(np.stack([top, top + height, left, left + width]), images)
    first_y, last_y, first_x, last_x = edges.unsqueeze(2)
    span = torch.arange(images.shape[-1], device=images.device, dtype=torch.float32)[None]
    rows, columns = (span >= first_y) & (span < last_y), (span >= first_x) & (span < last_x)
    return (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)


def _single(values: np.ndarray, images: torch.Tensor) -> torch.Tensor:
    """float32 on the device of the images; converted before the transfer because some devices lack float64."""
    return torch.from_numpy(values.astype(np.float32)).to(images.device)
