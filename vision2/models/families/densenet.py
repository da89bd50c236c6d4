"""DenseNet in the form that its paper used for CIFAR (Huang et al., "Densely Connected Convolutional Networks", 1608.06993)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vision2.models.network import NetworkParts


class DenseLayer(nn.Module):
    """Norm, ReLU, 3x3 convolution to `growth` new channels, concatenated to the input: each layer feeds all later ones."""

    def __init__(self, in_channels: int, growth: int):
        super().__init__()
        self.norm, self.relu = nn.BatchNorm2d(in_channels), nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(in_channels, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + growth, H, W)."""
        return torch.cat([x, self.conv(self.relu(self.norm(x)))], dim=1)


def transition(channels: int) -> nn.Sequential:
    """Norm, ReLU, 1x1 convolution that keeps the channels (no compression), pooling to half the height and width."""
    return nn.Sequential(
        nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 1, bias=False), nn.AvgPool2d(2)
    )


def densenet40_k12(num_classes: int, *, growth: int = 12, layers: int = 12, first_channels: int = 16) -> NetworkParts:
    """Three dense blocks of 12 layers; 3 * 12 convolutions, the first, two transitions and the classifier make 40."""
    backbone, channels = nn.Sequential(), first_channels
    backbone.add_module("conv0", nn.Conv2d(3, channels, 3, padding=1, bias=False))
    stages: dict[str, tuple[str, ...]] = {"stem": ("conv0",)}
    for i in (1, 2, 3):
        dense = [DenseLayer(channels + j * growth, growth) for j in range(layers)]
        backbone.add_module(f"denseblock{i}", nn.Sequential(*dense))
        channels += layers * growth
        last = f"transition{i}" if i < 3 else "norm"
        backbone.add_module(last, transition(channels) if i < 3 else nn.BatchNorm2d(channels))
        stages[f"denseblock{i}"] = (f"denseblock{i}", last) if i < 3 else (f"denseblock{i}", last, "relu")
    backbone.add_module("relu", nn.ReLU(inplace=True))
    backbone.add_module("avgpool", nn.AdaptiveAvgPool2d(1))
    backbone.add_module("flatten", nn.Flatten())
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return NetworkParts(backbone, nn.Linear(channels, num_classes), stages, head_key=None)
