"""The same network without batch normalisation, as networks were before Ioffe and Szegedy 2015 (arXiv 1502.03167)."""

from __future__ import annotations

import torch
from torch import nn


def remove_batch_norm(backbone: nn.Module) -> None:
    """Replace each batch norm with nothing, and give the convolution before it a bias that starts at zero."""
    for parent in list(backbone.modules()):
        before: nn.Module | None = None
        for name, module in list(parent.named_children()):
            if isinstance(module, nn.BatchNorm2d):
                before.bias = nn.Parameter(torch.zeros(before.out_channels))
                setattr(parent, name, nn.Identity())
            before = module
