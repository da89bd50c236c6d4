"""Plain and residual networks, which differ in one setting: `shortcut` A, B or none.

He et al., "Deep Residual Learning for Image Recognition", arXiv 1512.03385. Parameter names are torchvision's, so that
its pretrained weights load unchanged; as in torchvision, a bottleneck has its stride in the 3x3 convolution.
"""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from vision2.models.cards import ModelCard
from vision2.models.network import NetworkParts

IMAGENET_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
IMAGENET_WIDTHS = (64, 128, 256, 512)
CIFAR_WIDTHS = (16, 32, 64)


class PaddedShortcut(nn.Module):
    """Option A of the paper: every second pixel, zeros in the added channels, no parameters."""

    def __init__(self, extra_channels: int, stride: int):
        super().__init__()
        self.extra_channels, self.stride = extra_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        before = self.extra_channels // 2
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, before, self.extra_channels - before))


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Option B of the paper: a 1x1 convolution where the shape changes."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


class Block(nn.Module):
    """Base class of both kinds of block: adds the shortcut, if there is one, to `residual`."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, shortcut: str):
        super().__init__()
        out_channels = width * self.expansion
        self.add_convolutions(in_channels, width, stride)
        self.relu = nn.ReLU(inplace=True)
        self.residual_on = shortcut != "none"
        self.downsample: nn.Module | None = None
        if self.residual_on and (stride != 1 or in_channels != out_channels):
            if shortcut == "A":
                self.downsample = PaddedShortcut(out_channels - in_channels, stride)
            else:
                self.downsample = projection(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.residual(x)
        if self.residual_on:
            out = out + (x if self.downsample is None else self.downsample(x))
        return self.relu(out)


class BasicBlock(Block):
    """Two 3x3 convolutions (ResNet-18, -34 and the CIFAR nets)."""

    def add_convolutions(self, in_channels: int, width: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def residual(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))


class Bottleneck(Block):
    """1x1 down to `width`, 3x3, 1x1 up to four times `width` (ResNet-50, -101, -152)."""

    expansion = 4

    def add_convolutions(self, in_channels: int, width: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)

    def residual(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out)))))


def build_resnet(card: ModelCard, num_classes: int, *, stem: str, shortcut: str) -> NetworkParts:
    """The paper's networks for ImageNet and, with 6n + 2 layers, for CIFAR-10; `shortcut` none gives the plain network.

    From the second on, stages halve height and width. Stem `imagenet`: 7x7 convolution and 3x3 max-pooling, both with
    stride 2. Stem `small`: one 3x3 convolution, stride 1.
    """
    depth = int(card.name.removeprefix("resnet").removeprefix("plain"))
    block, widths, counts = BasicBlock if depth < 50 else Bottleneck, IMAGENET_WIDTHS, IMAGENET_BLOCKS.get(depth)
    if card.stems == ("small",):
        block, widths, counts = BasicBlock, CIFAR_WIDTHS, ((depth - 2) // 6,) * 3
    small, channels = stem == "small", widths[0]
    modules = {
        "conv1": nn.Conv2d(3, channels, 3 if small else 7, 1 if small else 2, padding=1 if small else 3, bias=False),
        "bn1": nn.BatchNorm2d(channels),
        "relu": nn.ReLU(inplace=True),
        "maxpool": nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1),
    }
    stages = {"stem": tuple(modules)}
    for i, (width, count) in enumerate(zip(widths, counts, strict=True), start=1):
        first, others = block(channels, width, 1 if i == 1 else 2, shortcut), count - 1
        channels = width * block.expansion
        modules[f"layer{i}"] = nn.Sequential(first, *(block(channels, width, 1, shortcut) for _ in range(others)))
        stages[f"layer{i}"] = (f"layer{i}",)
    backbone = nn.Sequential(OrderedDict(modules, avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))
    head = nn.Linear(channels, num_classes)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return NetworkParts(backbone, head, stages, head_key="fc")
