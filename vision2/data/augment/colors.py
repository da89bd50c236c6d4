"""Colour jitter and RandAugment (Cubuk et al. 2019, arXiv 1909.13719) on whole batches, with separate draws per image.

Images are uint8 (B, H, W, 3), factors (B,) float. The colour arithmetic is Pillow's (and so torchvision's): grey is the
integer ITU-R 601 luma, and a blend is rounded to uint8. All sums are over integers, so the result for an image does not
depend on the batch size. RandAugment has torchvision's fourteen operations, ranges and magnitude (9 of 30), except that
shears keep the centre in place, not the corner. torchvision draws once for a whole batch; here the images that drew the
same operation are processed together.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

MAGNITUDE = 9 / 30  # as a share of the maximum


def brightness(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Blend with black: factor 0 gives black, 1 the image, 2 twice the brightness."""
    return blend(images, torch.zeros((), device=images.device), factors)


def contrast(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Blend with the image's mean grey."""
    grey = grey_of(images)
    count = grey[0].numel()
    mean = (2 * grey.long().sum((1, 2, 3), keepdim=True) + count) // (2 * count)  # rounded
    return blend(images, mean.float(), factors)


def saturation(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Blend with the grey version of the image."""
    return blend(images, grey_of(images), factors)


def grey_of(images: torch.Tensor) -> torch.Tensor:
    """(B, H, W, 1) int32 luma as Pillow computes it: (19595 R + 38470 G + 7471 B + 2^15) / 2^16."""
    red, green, blue = images.to(torch.int32).unbind(-1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).unsqueeze(-1)


def blend(images: torch.Tensor, other: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """factor * images + (1 - factor) * other, clipped to [0, 255]."""
    factors = factors.to(torch.float32).view(-1, 1, 1, 1)
    mixed = images.float().mul_(factors).add_(other.float() * (1 - factors))
    return mixed.clamp_(0, 255).round_().to(torch.uint8)


def color_jitter(images: torch.Tensor, draws: torch.Tensor, strength: float) -> torch.Tensor:
    """Change brightness, contrast and saturation in this order, by factors in 1 +- strength; `draws` (B, 3) in [0, 1)."""
    factors = 1 + strength * (2 * draws - 1)
    for index, change in enumerate((brightness, contrast, saturation)):
        images = change(images, factors[:, index])
    return images


def draw_operations(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn (B, 2 n) uniforms into (indices into `OPERATIONS` (B, n), signs +-1 (B, n))."""
    count = draws.shape[1] // 2
    return (draws[:, :count] * len(OPERATIONS)).astype(np.int64), np.where(draws[:, count:] < 0.5, -1.0, 1.0)


def rand_augment(images: torch.Tensor, operations: np.ndarray, signs: np.ndarray) -> torch.Tensor:
    """Apply the columns of `operations` (B, n) one after another to uint8 (B, H, W, 3)."""
    images = images.clone()
    for chosen, sign in zip(operations.T, signs.T, strict=True):
        for index in np.unique(chosen):
            rows = np.flatnonzero(chosen == index)
            group = torch.from_numpy(rows).to(images.device)
            sign_of_group = torch.from_numpy(sign[rows].astype(np.float32)).to(images.device)
            images[group] = list(OPERATIONS.values())[index](images[group], sign_of_group)
    return images


def warp(images: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Nearest-neighbour warp, black outside; `matrix` (B, 6) maps output (x, y), relative to the centre, to input (x, y)."""
    count, height, width = images.shape[:3]
    a, b, c, d, e, f = matrix.view(count, 6, 1, 1).unbind(1)
    y = (torch.arange(height, device=images.device) - (height - 1) / 2).view(1, -1, 1)
    x = (torch.arange(width, device=images.device) - (width - 1) / 2).view(1, 1, -1)
    columns = (a * x + b * y + c + (width - 1) / 2).round_().long()
    rows = (d * x + e * y + f + (height - 1) / 2).round_().long()
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    batch = torch.arange(count, device=images.device).view(-1, 1, 1)
    flat = (batch * height + rows.clamp_(0, height - 1)) * width + columns.clamp_(0, width - 1)
    moved = images.reshape(-1, 3).index_select(0, flat.view(-1)).view(images.shape)
    return moved * inside.unsqueeze(-1)


def warp_matrix(sign: torch.Tensor, **entries: torch.Tensor) -> torch.Tensor:
    one, zero = torch.ones_like(sign), torch.zeros_like(sign)
    values = {"a": one, "b": zero, "c": zero, "d": zero, "e": one, "f": zero} | entries
    return torch.stack(list(values.values()), dim=1)


def _rotate(images: torch.Tensor, sign: torch.Tensor) -> torch.Tensor:
    cosine, sine = math.cos(math.radians(30 * MAGNITUDE)), math.sin(math.radians(30 * MAGNITUDE))
    one = torch.ones_like(sign)
    return warp(images, warp_matrix(sign, a=one * cosine, b=-sign * sine, d=sign * sine, e=one * cosine))


def _sharpness(images: torch.Tensor, sign: torch.Tensor) -> torch.Tensor:
    """Blend with the image smoothed by (1 1 1; 1 5 1; 1 1 1) / 13; border pixels are unchanged."""
    if min(images.shape[1:3]) < 3:
        return images
    whole = images.to(torch.int32)
    columns = whole[:, :, :-2] + whole[:, :, 1:-1] + whole[:, :, 2:]
    sums = columns[:, :-2] + columns[:, 1:-1] + columns[:, 2:] + 4 * whole[:, 1:-1, 1:-1]
    smooth = whole.clone()
    smooth[:, 1:-1, 1:-1] = (2 * sums + 13) // 26
    return blend(images, smooth, _factor(sign))


def _autocontrast(images: torch.Tensor, sign: torch.Tensor) -> torch.Tensor:
    """Stretch each channel to 0..255; a constant channel is unchanged."""
    low, high = (bound.float() for bound in (images.amin((1, 2), keepdim=True), images.amax((1, 2), keepdim=True)))
    stretched = (images.float() - low) * (255 / (high - low).clamp(min=1))
    return torch.where(high > low, stretched.clamp_(0, 255).to(torch.uint8), images)


def _by_torchvision(name: str, *arguments: float) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A torchvision operation that processes each image of a batch independently and has no sign."""

    def operate(images: torch.Tensor, sign: torch.Tensor) -> torch.Tensor:
        from torchvision.transforms.v2 import functional  # takes seconds to import, and only RandAugment needs it

        return getattr(functional, name)(images.movedim(-1, 1), *arguments).movedim(1, -1)

    return operate


def _factor(sign: torch.Tensor) -> torch.Tensor:
    return 1 + sign * 0.9 * MAGNITUDE


OPERATIONS = {
    "identity": lambda images, sign: images,
    "shear_x": lambda images, sign: warp(images, warp_matrix(sign, b=sign * 0.3 * MAGNITUDE)),
    "shear_y": lambda images, sign: warp(images, warp_matrix(sign, d=sign * 0.3 * MAGNITUDE)),
    "translate_x": lambda images, sign: warp(images, warp_matrix(sign, c=-sign * int(150 / 331 * images.shape[2] * MAGNITUDE))),
    "translate_y": lambda images, sign: warp(images, warp_matrix(sign, f=-sign * int(150 / 331 * images.shape[1] * MAGNITUDE))),
    "rotate": _rotate,
    "brightness": lambda images, sign: brightness(images, _factor(sign)),
    "color": lambda images, sign: saturation(images, _factor(sign)),
    "contrast": lambda images, sign: contrast(images, _factor(sign)),
    "sharpness": _sharpness,
    "posterize": _by_torchvision("posterize", 8 - round(4 * MAGNITUDE)),
    "solarize": _by_torchvision("solarize", 255 * (1 - MAGNITUDE)),
    "autocontrast": _autocontrast,
    "equalize": _by_torchvision("equalize"),
}
