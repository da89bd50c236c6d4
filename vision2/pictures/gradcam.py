"""Grad-CAM: which regions of an image are evidence for a class (Selvaraju et al. 2017, arXiv 1610.02391)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vision2.basics.preprocessing import Preprocessing
from vision2.pictures.images import as_pictures, overlay


def last_spatial_layer(network: nn.Module, images: Tensor) -> nn.Module | None:
    """The last module to run whose output is (N, C, H, W) with H * W > 1; None if there is none."""
    found: list[nn.Module] = []

    def note(module: nn.Module, _inputs: tuple, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
            found.append(module)

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found[-1] if found else None


def grad_cam(network: nn.Module, layer: nn.Module, images: Tensor, classes: int | Sequence[int] | Tensor) -> Tensor:
    """Heat maps (N, H, W) in [0, 1] of the size of `images` (N, 3, H, W), for a single class or one class per image.

    Classes (N, M) give maps (N, M, H, W) in a single forward pass. If there is no evidence for a class, its map is zero.
    Frozen networks work too, and no gradients are left behind; `network` must be in evaluation mode.
    """
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor:
        kept.append(output)
        return output.clone()  # a later in-place ReLU must not change the stored output

    hook = layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            # The input requires a gradient so that gradients flow even if all parameters are frozen.
            logits = network(images.detach().clone().requires_grad_()).logits
            targets = torch.as_tensor(classes, device=logits.device)
            targets = targets.expand(len(logits)) if targets.ndim == 0 else targets
            chosen = logits.gather(1, targets.reshape(len(logits), -1)).sum(0)
            gradients = [torch.autograd.grad(score, kept[-1], retain_graph=True)[0] for score in chosen]
    finally:
        hook.remove()
    maps = torch.stack([_map(gradient, kept[-1].detach(), images.shape[2:]) for gradient in gradients], dim=1)
    return maps if targets.ndim == 2 else maps[:, 0]


def _map(gradient: Tensor, activation: Tensor, size: Sequence[int]) -> Tensor:
    """Equations 1 and 2 of the paper: the channels weighted by their mean gradients and summed, then a ReLU."""
    weights = gradient.mean((2, 3), keepdim=True)
    maps = (weights * activation).sum(1, keepdim=True).relu().float()
    maps = interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)[:, 0]
    return maps / maps.amax((1, 2), keepdim=True).clamp_min(1e-12)


def cam_overlays(network: nn.Module, images: Tensor, classes: Sequence[int] | np.ndarray, preprocessing: Preprocessing):
    """Each image with the map of its class (or classes) overlaid; None for a network without a spatial layer.

    Returns:
        uint8 (N, H, W, 3) for one class per image, (N, M, H, W, 3) for classes (N, M).
    """
    layer = last_spatial_layer(network, images[:1]) if len(images) else None
    if layer is None:
        return None
    heat = grad_cam(network, layer, images, torch.as_tensor(classes)).cpu().numpy()
    pictures = as_pictures(images, preprocessing)
    if heat.ndim == 3:
        return np.stack([overlay(*pair) for pair in zip(pictures, heat, strict=True)])
    return np.stack([[overlay(picture, map_) for map_ in maps] for picture, maps in zip(pictures, heat, strict=True)])
