"""Fold each batch normalisation of a frozen network into the convolution before it, which makes it about twice as fast."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vision2.models.cut import layer_outputs
from vision2.models.network import Network

TOLERANCE = 1e-3  # relative to the largest output: far above rounding errors, far below the error of a wrong pair


@torch.inference_mode()
def fused_copy(network: Network, layers: Sequence[str], images: Tensor, pooling: str) -> Network:
    """Return a fused copy of `network` (in evaluation mode) with the same features at `layers`, or `network` itself.

    Which convolution feeds which normalisation is observed in a forward pass of `images`, so this works for any
    architecture; if the outputs of the copy differ, `network` is returned.
    """
    pairs = conv_norm_pairs(network, lambda: layer_outputs(network, layers, images, pooling))
    if not pairs:
        return network
    fused = copy.deepcopy(network)
    for conv, norm in pairs:
        _replace(fused, conv, fuse_conv_bn_eval(fused.get_submodule(conv), fused.get_submodule(norm)))
        _replace(fused, norm, getattr(fused.get_submodule(norm), "act", nn.Identity()))  # timm's norms include the activation
    fused.eval()
    expected, found = (layer_outputs(net, layers, images, pooling) for net in (network, fused))
    same = all(agree(a, b, TOLERANCE) for a, b in zip(expected, found, strict=True))
    return fused if same else network


def agree(expected: Tensor, found: Tensor, tolerance: float) -> bool:
    """Whether `found` is finite and equals `expected`, of the same shape, up to `tolerance` times its largest value."""
    if found.shape != expected.shape or not torch.isfinite(found).all():
        return False
    return bool((found - expected).abs().max() <= tolerance * expected.abs().max())


def conv_norm_pairs(network: nn.Module, run: Callable[[], object]) -> list[tuple[str, str]]:
    """Names of (convolution, normalisation) pairs, where the second reads the output of the first and both are used once."""
    made: dict[int, tuple[str, Tensor]] = {}  # by id; the tensor is kept alive so that its id is not reused
    pairs, uses, hooks = [], {}, []

    def after(name: str):
        def hook(_module, _inputs, output: Tensor) -> None:
            made[id(output)] = name, output
            uses[name] = uses.get(name, 0) + 1

        return hook

    def before(name: str):
        def hook(_module, inputs: tuple) -> None:
            uses[name] = uses.get(name, 0) + 1
            if id(inputs[0]) in made:
                pairs.append((made[id(inputs[0])][0], name))

        return hook

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(after(name)))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(before(name)))
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return [(conv, norm) for conv, norm in pairs if uses[conv] == uses[norm] == 1]


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
