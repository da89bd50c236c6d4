"""Rules for using a tensor of a file in a network although their shapes differ."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

RGB, GREY, RGB_AND_MORE = 3, 1, 4  # input channels of a first layer
GREY_RULE = "the greyscale kernel is used for each colour with a third of its weight, so it sees the mean of the colours"
FOUR_RULE = "the first three of four input channels are used as red, green and blue; the fourth is left out"
CROP_RULE = "the centre of the larger kernel is used"


def first_kernel(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first convolution's kernel, whose input channels are the image's; None if there is none."""
    return next((name for name, tensor in tensors.items() if tensor.ndim == 4), None)


def fitted(tensor: Tensor, wanted: Tensor, *, first: bool) -> tuple[Tensor, str] | None:
    """The tensor in the shape of `wanted` and the rule applied ("" for none); None if no rule applies.

    Args:
        first: whether it is the kernel of the first layer, whose input channels are the image's.
    """
    if tensor.shape == wanted.shape:
        return tensor, ""
    if tensor.ndim != wanted.ndim and min(tensor.ndim, wanted.ndim) == 2 and _rows(tensor) == _rows(wanted):
        return tensor.reshape(wanted.shape), ""  # a linear layer written as a convolution, or the reverse
    if tensor.ndim != 4 or wanted.ndim != 4:
        return None
    rules = []
    if first and wanted.shape[1] == RGB and tensor.shape[1] in (GREY, RGB_AND_MORE):
        grey = tensor.shape[1] == GREY
        tensor = tensor.expand(-1, RGB, -1, -1) / RGB if grey else tensor[:, :RGB]
        rules.append(GREY_RULE if grey else FOUR_RULE)
    if tensor.shape != wanted.shape:
        tensor = centre_crop(tensor, wanted)
        rules.append(CROP_RULE)
    return None if tensor is None else (tensor, "; ".join(rules))


def _rows(tensor: Tensor) -> tuple[int, int]:
    return len(tensor), tensor.numel() // max(len(tensor), 1)


def centre_crop(kernel: Tensor, wanted: Tensor) -> Tensor | None:
    """The centre of a larger convolution kernel (7x7 to 3x3), or None if the shapes differ in another way."""
    if kernel.shape[:2] != wanted.shape[:2]:
        return None
    margins = [(have - want) for have, want in zip(kernel.shape[2:], wanted.shape[2:], strict=True)]
    if any(margin < 0 or margin % 2 for margin in margins):
        return None
    top, left = (margin // 2 for margin in margins)
    return kernel[:, :, top : top + wanted.shape[2], left : left + wanted.shape[3]]
