"""Colour changes of whole batches, a strength for each image. Images are uint8 (B, H, W, 3), factors (B,) float.

The arithmetic is Pillow's (and so torchvision's): grey is the integer ITU-R 601 luma, a blend is rounded to uint8. All sums
are over integers, so that an image comes out the same in a batch of any size.
"""

from __future__ import annotations

import torch


def brightness(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Blend with black: 0 is black, 1 the image, 2 twice as bright."""
    return blend(images, torch.zeros((), device=images.device), factors)


def contrast(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Blend with the image's mean grey."""
    grey = grey_of(images)
    count = grey[0].numel()
    mean = (2 * grey.long().sum((1, 2, 3), keepdim=True) + count) // (2 * count)  # rounded
    return blend(images, mean.float(), factors)


def saturation(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Blend with the image in grey."""
    return blend(images, grey_of(images), factors)


def grey_of(images: torch.Tensor) -> torch.Tensor:
    """(B, H, W, 1) int32 luma as Pillow computes it: (19595 R + 38470 G + 7471 B + 2^15) / 2^16."""
    red, green, blue = images.to(torch.int32).unbind(-1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).unsqueeze(-1)


def blend(images: torch.Tensor, other: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """factor * images + (1 - factor) * other, cut off below 0 and above 255."""
    factors = factors.to(torch.float32).view(-1, 1, 1, 1)
    mixed = images.float().mul_(factors).add_(other.float() * (1 - factors))
    return mixed.clamp_(0, 255).round_().to(torch.uint8)


def color_jitter(images: torch.Tensor, draws: torch.Tensor, strength: float) -> torch.Tensor:
    """Brightness, contrast, saturation in this order, each by a factor of 1 +- strength; `draws` (B, 3) in [0, 1)."""
    factors = 1 + strength * (2 * draws - 1)
    for index, change in enumerate((brightness, contrast, saturation)):
        images = change(images, factors[:, index])
    return images
