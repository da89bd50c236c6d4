"""What is done to a batch after normalisation: erasing a rectangle of an image, mixing two images and their targets."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

ERASED_AREA = (0.02, 0.33)  # share of the image, and the aspect ratio below: Zhong et al. 2017, arXiv 1708.04896
ERASED_LOG_RATIO = math.log(3.3)
ERASING_DRAWS = 5
MIX_DRAWS = 4


def erase(images: torch.Tensor, draws: np.ndarray, probability: float) -> torch.Tensor:
    """Random erasing of normalised (B, 3, S, S) with 0, the mean colour; `draws` is (B, ERASING_DRAWS)."""
    size = images.shape[-1]
    area = size * size * (ERASED_AREA[0] + (ERASED_AREA[1] - ERASED_AREA[0]) * draws[:, 1])
    ratio = np.exp(ERASED_LOG_RATIO * (2 * draws[:, 2] - 1))
    height = np.clip(np.rint(np.sqrt(area * ratio)), 1, size) * (draws[:, 0] < probability)
    width = np.clip(np.rint(np.sqrt(area / ratio)), 1, size)
    top, left = np.floor(draws[:, 3] * (size - height + 1)), np.floor(draws[:, 4] * (size - width + 1))
    return images.masked_fill_(_rectangles(top, left, height, width, images), 0.0)


def mix(
    images: torch.Tensor, labels: torch.Tensor, draws: np.ndarray, *, num_classes: int, mixup: float, cutmix: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each image with its neighbour in the batch; targets become (B, K) shares.

    mixup blends the two (Zhang et al. 2017, arXiv 1710.09412), cutmix pastes a rectangle of the neighbour (Yun et al. 2019,
    arXiv 1905.04899); with both on, half of the images each. The share is drawn for each image from Beta(alpha, alpha).
    The neighbour is the next image of the batch, so here (and only here) an image depends on the batch it is in.
    """
    size = images.shape[-1]
    cut = draws[:, 0] < (0.5 if mixup > 0 and cutmix > 0 else float(cutmix > 0))
    share = np.where(cut, _beta(draws[:, 1], cutmix), _beta(draws[:, 1], mixup))
    side = np.sqrt(1 - share) * size
    middle_y, middle_x = draws[:, 2] * size, draws[:, 3] * size
    top, bottom = (np.rint(np.clip(middle_y + sign * side / 2, 0, size)) for sign in (-1, 1))
    left, right = (np.rint(np.clip(middle_x + sign * side / 2, 0, size)) for sign in (-1, 1))
    share = np.where(cut, 1 - (bottom - top) * (right - left) / size**2, share)
    pasted = _rectangles(top, left, (bottom - top) * cut, right - left, images)
    blended = torch.from_numpy(np.where(cut, 1.0, share).astype(np.float32)).to(images.device).view(-1, 1, 1, 1)
    others = images.roll(-1, 0)
    mixed = torch.where(pasted, others, images * blended + others * (1 - blended))
    shares = torch.from_numpy(share.astype(np.float32)).to(images.device).unsqueeze(1)
    one_hot = functional.one_hot(labels, num_classes).float()
    return mixed, one_hot * shares + one_hot.roll(-1, 0) * (1 - shares)


def _beta(draws: np.ndarray, alpha: float) -> np.ndarray:
    """Uniform draws to Beta(alpha, alpha) by the inverse of its distribution function."""
    from scipy.special import betaincinv

    return betaincinv(alpha, alpha, draws) if alpha > 0 else np.ones_like(draws)


def _rectangles(
    top: np.ndarray, left: np.ndarray, height: np.ndarray, width: np.ndarray, images: torch.Tensor
) -> torch.Tensor:
    """(B, 1, S, S) bool, true inside each image's rectangle."""
    edges = torch.from_numpy(np.stack([top, top + height, left, left + width])).to(images.device, torch.float32)
    first_y, last_y, first_x, last_x = edges.unsqueeze(2)
    span = torch.arange(images.shape[-1], device=images.device, dtype=torch.float32)[None]
    rows, columns = (span >= first_y) & (span < last_y), (span >= first_x) & (span < last_x)
    return (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)
