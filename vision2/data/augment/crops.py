"""Which part of an image the network sees, and at which size. Images are uint8 (H, W, 3) or (B, H, W, 3)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from vision2.basics.preprocessing import Preprocessing

CROP_TRIES = 10
CROP_DRAWS = 2 * CROP_TRIES + 2
MIRRORED_ALONE_PX = 64
STRIP_ASPECT = 8  # longer : shorter side above which the ends of a picture are cut off before resizing
LOG_RATIO = math.log(4 / 3)  # aspect ratios from 3/4 to 4/3, as in Szegedy et al. 2015 (arXiv 1409.4842)


def random_resized_boxes(sizes: np.ndarray, draws: np.ndarray, scale_min: float) -> np.ndarray:
    """(B, 4) int64 top, left, height, width of Inception's random resized crop, by torchvision's rules.

    `sizes` (B, 2) are heights and widths, `draws` (B, CROP_DRAWS) uniform numbers. The first of ten tries that fits into
    the image is used; if none fits, the largest centred crop with an allowed aspect ratio.
    """
    height, width = sizes[:, :1].astype(np.float64), sizes[:, 1:].astype(np.float64)
    area = height * width * (scale_min + (1 - scale_min) * draws[:, :CROP_TRIES])
    ratio = np.exp(LOG_RATIO * (2 * draws[:, CROP_TRIES : 2 * CROP_TRIES] - 1))
    tries_h, tries_w = np.rint(np.sqrt(area / ratio)), np.rint(np.sqrt(area * ratio))
    fits = (tries_h >= 1) & (tries_w >= 1) & (tries_h <= height) & (tries_w <= width)
    first = fits.argmax(axis=1)[:, None]
    some = fits.any(axis=1)
    height, width = height[:, 0], width[:, 0]
    largest_h = np.minimum(height, np.maximum(1, np.rint(width / 0.75)))
    largest_w = np.minimum(width, np.maximum(1, np.rint(height * 4 / 3)))
    crop_h = np.where(some, np.take_along_axis(tries_h, first, 1)[:, 0], largest_h)
    crop_w = np.where(some, np.take_along_axis(tries_w, first, 1)[:, 0], largest_w)
    top = np.where(some, np.floor(draws[:, -2] * (height - crop_h + 1)), np.floor((height - crop_h) / 2))
    left = np.where(some, np.floor(draws[:, -1] * (width - crop_w + 1)), np.floor((width - crop_w) / 2))
    return np.stack([top, left, crop_h, crop_w], axis=1).astype(np.int64)


def resize(image: np.ndarray, height: int, width: int, interpolation: str = "bilinear") -> np.ndarray:
    """(height, width, 3) uint8 by antialiased interpolation; the same array when the size is already right."""
    if image.shape[:2] == (height, width):
        return image
    # reshape, not [None]: torch recognises channels-last by the stride of the batch dimension; otherwise it resizes plane
    # by plane and takes three times as long
    whole = np.ascontiguousarray(image).reshape(1, *image.shape)
    tensor = torch.from_numpy(whole).permute(0, 3, 1, 2)
    out = functional.interpolate(tensor, size=(height, width), mode=interpolation, antialias=True)
    return out[0].permute(1, 2, 0).numpy()


def evaluation_view(image: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """(S, S, 3): the centre, after resizing the shorter side to `resize_px` (the longer one rounded down as in torchvision);
    the whole picture if `preprocessing.resize` is squash or pad."""
    size = preprocessing.image_size_px
    if preprocessing.resize != "crop":
        return whole_square(image, size, preprocessing)
    image = _without_far_ends(image)
    height, width = image.shape[:2]
    short = max(preprocessing.resize_px, size)
    if height <= width:
        image = resize(image, short, max(short, short * width // height), preprocessing.interpolation)
    else:
        image = resize(image, max(short, short * height // width), short, preprocessing.interpolation)
    return centre_crop(image, size)


def whole_square(image: np.ndarray, side: int, preprocessing: Preprocessing) -> np.ndarray:
    """(side, side, 3) with the whole picture: squashed, or between two bars of the mean colour, which normalises to 0."""
    if preprocessing.resize == "squash":
        return resize(image, side, side, preprocessing.interpolation)
    height, width = image.shape[:2]
    longer = max(height, width)
    small = [max(1, round(side * length / longer)) for length in (height, width)]
    square = np.empty((side, side, 3), dtype=np.uint8)
    square[:] = np.rint(np.array(preprocessing.mean) * 255).clip(0, 255)
    top, left = (side - small[0]) // 2, (side - small[1]) // 2
    square[top : top + small[0], left : left + small[1]] = resize(image, *small, preprocessing.interpolation)
    return square


def _without_far_ends(image: np.ndarray) -> np.ndarray:
    """The middle of a strip: the centre crop shows no more, and enlarging all of a 1 x 1,000 px strip would take 200 MB."""
    height, width = image.shape[:2]
    most = STRIP_ASPECT * min(height, width)
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    return image[top : top + min(height, most), left : left + min(width, most)]


def centre_crop(image: np.ndarray | torch.Tensor, size: int) -> np.ndarray | torch.Tensor:
    """The central `size` x `size` pixels; height and width are the two dimensions before the last."""
    height, width = image.shape[-3:-1]
    top, left = round((height - size) / 2), round((width - size) / 2)
    return image[..., top : top + size, left : left + size, :]


def pad_crop(images: torch.Tensor, draws: np.ndarray, padding_px: int) -> torch.Tensor:
    """(B, S, S, 3): padded with `padding_px` black pixels, then cropped to the old size at the position `draws` (B, 2)."""
    if padding_px == 0:
        return images
    count, size = images.shape[:2]
    side = size + 2 * padding_px
    tops, lefts = torch.from_numpy((draws * (2 * padding_px + 1)).astype(np.int64)).to(images.device).unbind(1)
    span = torch.arange(size, device=images.device)
    rows = (torch.arange(count, device=images.device) * side + tops)[:, None] + span
    pixels = (rows * side)[:, :, None] + (lefts[:, None] + span)[:, None, :]
    padded = functional.pad(images, (0, 0, padding_px, padding_px, padding_px, padding_px))
    # one gather of whole pixels: six times as fast as indexing by (image, row, column)
    return padded.view(-1, 3).index_select(0, pixels.view(-1)).view(images.shape)


def resample(images: torch.Tensor, boxes: np.ndarray, size_px: int, interpolation: str = "bilinear") -> torch.Tensor:
    """(B, T, T, 3), T = `size_px`: one box (top, left, height, width) of each image, resized for the whole batch at once.

    Antialiased interpolation is separable, so cropping and resizing are two small matrix products per image: one for
    the rows and one for the columns. `boxes` is (B, 4), or (1, 4) when all images share one.
    """
    count, size = images.shape[:2]
    boxes = torch.from_numpy(np.asarray(boxes, dtype=np.float32)).to(images.device)
    rows = _resize_matrices(boxes[:, 0], boxes[:, 2], size, size_px, interpolation)
    columns = _resize_matrices(boxes[:, 1], boxes[:, 3], size, size_px, interpolation)
    tall = torch.matmul(rows, images.reshape(count, size, size * 3).float())
    tall = tall.view(count, size_px, size, 3).transpose(2, 3).reshape(count, size_px * 3, size)
    out = torch.matmul(tall, columns.transpose(1, 2)).view(count, size_px, 3, size_px).transpose(2, 3)
    return out.round_().clamp_(0, 255).to(torch.uint8).contiguous()


def _resize_matrices(start: torch.Tensor, length: torch.Tensor, size: int, size_px: int, interpolation: str) -> torch.Tensor:
    """(B, size_px, size): row t holds the weights of the source pixels in output pixel t, as in Pillow's resize."""
    scale = (length / size_px)[:, None, None]
    reach = scale.clamp(min=1.0)
    target = torch.arange(size_px, device=start.device, dtype=torch.float32)[None, :, None]
    source = torch.arange(size, device=start.device, dtype=torch.float32)[None, None, :]
    centre = start[:, None, None] + (target + 0.5) * scale
    distance = ((source + 0.5 - centre) / reach).abs()
    inside = (source >= start[:, None, None]) & (source < (start + length)[:, None, None])
    weights = torch.where(inside, _kernel(distance, interpolation), torch.zeros_like(distance))
    return weights / weights.sum(dim=2, keepdim=True)


def _kernel(distance: torch.Tensor, interpolation: str) -> torch.Tensor:
    """Triangle, or Keys' cubic with a = -0.5 (what Pillow and torch use with antialias)."""
    if interpolation == "bilinear":
        return (1 - distance).clamp(min=0)
    near = ((1.5 * distance - 2.5) * distance) * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))


def flip(images: torch.Tensor, chosen: np.ndarray) -> torch.Tensor:
    """Mirror left to right, in place, the images where `chosen` (B,) bool is true."""
    rows = np.flatnonzero(chosen)
    if images.device.type == "cpu" and images.shape[1] >= MIRRORED_ALONE_PX:
        for row in rows.tolist():  # torch mirrors channels-last images ten times as fast one by one
            view = images[row : row + 1].permute(0, 3, 1, 2)
            view.copy_(view.flip(3))
        return images
    rows = torch.from_numpy(rows).to(images.device)
    return images.index_copy_(0, rows, images.index_select(0, rows).flip(2))
