"""Train activations without a copy of their input: in place, torch clones the input of those whose gradient needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

NEED_THEIR_INPUT = (nn.Hardsigmoid, nn.Hardswish, nn.Mish, nn.SiLU)


@contextmanager
def uncopied(network: nn.Module) -> Iterator[None]:
    """Replace the in-place activations of `network` that copy their input; results and gradients stay the same, bit for bit.

    ReLU6 and other clipped linear units keep their output instead, which the next layer keeps anyway; the rest are
    computed out of place, so that the input itself is kept.
    """
    inplace = [module for module in network.modules() if getattr(module, "inplace", False)]
    clipped = [module for module in inplace if isinstance(module, nn.Hardtanh)]
    others = [module for module in inplace if isinstance(module, NEED_THEIR_INPUT)]
    try:
        for module in clipped:
            module.forward = lambda values, low=module.min_val, high=module.max_val: _Clip.apply(values, low, high)
        for module in others:
            module.inplace = False
        yield
    finally:
        for module in clipped:
            vars(module).pop("forward", None)
        for module in others:
            module.inplace = True


class _Clip(torch.autograd.Function):
    """`clamp_`, whose gradient can be computed from the output: it is zero where the output has reached a limit."""

    @staticmethod
    def forward(ctx, values: Tensor, low: float, high: float) -> Tensor:
        output = values.clamp_(low, high)
        ctx.mark_dirty(values)
        ctx.save_for_backward(output)
        ctx.limits = low, high
        return output

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (output,) = ctx.saved_tensors
        low, high = ctx.limits
        return torch.ops.aten.hardtanh_backward(gradient, output, low, high), None, None
