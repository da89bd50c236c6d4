"""The receptive field of every tensor in a forward pass: how many input pixels, along one side, a value depends on.

If neighbouring values are j input pixels apart (the step), a convolution or pooling with kernel k and stride s adds
(k - 1) * j and multiplies the step by s (Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks",
Distill 2019). Where paths join, the largest field is kept. Global pooling (also inside squeeze-and-excitation) and linear
layers end a path; attention sees the whole image, and so does everything after it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from vision2.profiling.dispatch import DispatchMode

# Prefixes of torch's operator names. Some are private: if one is renamed, the path is followed past it.
CONVOLUTION = "aten.convolution."
POOLS = ("aten.max_pool2d", "aten.avg_pool2d.")
ENDS = (
    "aten.mean.",
    "aten._adaptive_avg_pool2d.",
    "aten.adaptive_max_pool2d.",
    "aten.addmm.",
    "aten.mm.",
    "aten.linear.",
)
ATTENTION = ("aten.bmm.", "aten._softmax.", "aten._scaled_dot_product")  # the end of the last one depends on the device


class Field(NamedTuple):
    """Height and width of the field and of the step between neighbouring values, in input pixels."""

    height: int
    width: int
    step_y: int
    step_x: int

    def through(self, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int] = (1, 1)) -> Field:
        return Field(
            self.height + (kernel[0] - 1) * dilation[0] * self.step_y,
            self.width + (kernel[1] - 1) * dilation[1] * self.step_x,
            self.step_y * stride[0],
            self.step_x * stride[1],
        )


class ReceptiveFields(DispatchMode):
    """Tracks the field of every tensor that is computed from `images`."""

    def __init__(self, images: Tensor):
        super().__init__()
        self._fields = WeakTensorKeyDictionary()
        self._fields[images] = Field(1, 1, 1, 1)

    def of(self, tensor: Tensor) -> int | None:
        """The larger side in pixels, or None if no local path leads back to the input."""
        field = self._fields.get(tensor)
        return None if field is None else max(field.height, field.width)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result, name = func(*args, **(kwargs or {})), str(func)
        inputs = [value for arg in args for value in (arg if isinstance(arg, list | tuple) else (arg,))]
        fields = [self._fields[t] for t in inputs if isinstance(t, Tensor) and t in self._fields]
        first = result[0] if isinstance(result, tuple | list) and result else result
        if isinstance(first, Tensor):
            if None in fields or name.startswith(ATTENTION):
                self._fields[first] = None
            elif fields and not name.startswith(ENDS):
                self._fields[first] = _after(name, _joined(fields), args)
        return result


def _after(operator: str, field: Field, args: tuple) -> Field:
    if operator.startswith(CONVOLUTION):
        return field.through(tuple(args[1].shape[2:]), _pair(args[3]), _pair(args[5]))
    if operator.startswith(POOLS):
        kernel = _pair(args[1])
        return field.through(kernel, _pair(args[2]) if len(args) > 2 and args[2] else kernel)
    return field


def _joined(fields: list[Field]) -> Field:
    return Field(*(max(values) for values in zip(*fields, strict=True)))


def _pair(value: Any) -> tuple[int, int]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    return (values[0], values[-1])
