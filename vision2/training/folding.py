"""Train with every frozen batch normalisation folded into the convolution before it, which saves two passes per layer.

With fixed statistics, a normalisation only scales and shifts each channel, so that convolution and normalisation are
equal to one convolution with other weights. The modules, their names and their parameters are not changed: scale and
shift are computed from them and remain trainable.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vision2.models.fusing import TOLERANCE, agree, conv_norm_pairs
from vision2.models.network import Network

Pairs = Sequence[tuple[str, str]]  # names of a convolution and of the normalisation that reads its output


def foldable_pairs(network: Network, image_size_px: int) -> list[tuple[str, str]]:
    """Pairs whose folding leaves the features of `network` unchanged, observed on one random image; all of them or none.

    The statistics of the observed copy are altered: a new normalisation does nothing, so that any pair would seem right.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return []
    copied, random = copy.deepcopy(network).eval(), torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, image_size_px, image_size_px, generator=random).to(next(network.parameters()).device)
    with torch.no_grad():
        for norm in copied.modules():
            if isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None:
                norm.running_var *= 0.5 + torch.rand(norm.num_features, generator=random).to(image.device)
                norm.running_mean += 0.1 * norm.running_var.sqrt()
        pairs = [pair for pair in conv_norm_pairs(copied, lambda: copied.features(image)) if _is_plain(copied, *pair)]
        expected = copied.features(image)
        with folded(copied, pairs):
            found = copied.features(image)
    return pairs if agree(expected, found, TOLERANCE) else []


@contextmanager
def folded(network: nn.Module, pairs: Pairs) -> Iterator[None]:
    """Fold those of `pairs` whose normalisation is in evaluation mode; modes must not change within the context."""
    replaced: list[nn.Module] = []
    try:
        for conv_name, norm_name in pairs:
            conv, norm = network.get_submodule(conv_name), network.get_submodule(norm_name)
            if norm.training or norm.running_var is None:
                continue
            replaced += [conv, norm]
            conv.forward = _folded_forward(conv, norm)
            norm.forward = getattr(norm, "act", nn.Identity()).forward  # timm's norms include the activation
        yield
    finally:
        for module in replaced:
            vars(module).pop("forward", None)


def _is_plain(network: nn.Module, conv: str, norm: str) -> bool:
    """Whether both are computed as PyTorch's own layers are (timm also has convolutions with other paddings or weights)."""
    norm = network.get_submodule(norm)
    return type(network.get_submodule(conv)) is nn.Conv2d and (type(norm) is nn.BatchNorm2d or hasattr(norm, "act"))


def _folded_forward(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Callable[[Tensor], Tensor]:
    def parameters() -> tuple[Tensor, Tensor]:
        scale = (norm.running_var + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight
        shift = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
        shift = shift * scale
        return conv.weight * scale[:, None, None, None], shift if norm.bias is None else shift + norm.bias

    if any(parameter.requires_grad for module in (conv, norm) for parameter in module.parameters(recurse=False)):
        return lambda images: conv._conv_forward(images, *parameters())
    weight, bias = parameters()
    return lambda images: conv._conv_forward(images, weight, bias)
