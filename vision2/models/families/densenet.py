"""DenseNet in its paper's CIFAR form (Huang et al., "Densely Connected Convolutional Networks", 1608.06993)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from vision2.models.network import NetworkParts

GROWTH, LAYERS, FIRST_CHANNELS = 12, 12, 16


class DenseLayer(nn.Module):
    """Norm, ReLU, 3x3 convolution to `growth` new channels, concatenated with the input: each layer feeds all later ones."""

    def __init__(self, in_channels: int, growth: int):
        super().__init__()
        self.norm, self.relu = nn.BatchNorm2d(in_channels), nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(in_channels, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + growth, H, W)."""
        return torch.cat([x, self.conv(self.relu(self.norm(x)))], dim=1)


def transition(channels: int) -> nn.Sequential:
    """Norm, ReLU, 1x1 convolution with as many output channels (no compression), pooling to half the height and width."""
    return nn.Sequential(
        nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 1, bias=False), nn.AvgPool2d(2)
    )


def densenet40_k12(num_classes: int) -> NetworkParts:
    """Three dense blocks of 12 layers: 3 * 12 convolutions, the first one, two transitions and the classifier make 40."""
    channels = FIRST_CHANNELS
    modules: dict[str, nn.Module] = {"conv0": nn.Conv2d(3, channels, 3, padding=1, bias=False)}
    stages: dict[str, tuple[str, ...]] = {"stem": ("conv0",)}
    for i in (1, 2, 3):
        modules[f"denseblock{i}"] = nn.Sequential(*(DenseLayer(channels + j * GROWTH, GROWTH) for j in range(LAYERS)))
        channels += LAYERS * GROWTH
        if i < 3:
            modules[f"transition{i}"] = transition(channels)
            stages[f"denseblock{i}"] = (f"denseblock{i}", f"transition{i}")
    modules |= {"norm": nn.BatchNorm2d(channels), "relu": nn.ReLU(inplace=True)}
    stages["denseblock3"] = ("denseblock3", "norm", "relu")
    backbone = nn.Sequential(OrderedDict(modules, avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return NetworkParts(backbone, nn.Linear(channels, num_classes), stages, head_key=None)
