"""Plain and residual networks, told apart by one switch: `shortcut` A, B or none.

He et al., "Deep Residual Learning for Image Recognition", arXiv 1512.03385. Parameter names are torchvision's, so that
its pretrained tensors load as they are; like torchvision, a bottleneck has its stride in the 3x3 convolution.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

IMAGENET_LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
IMAGENET_WIDTHS = (64, 128, 256, 512)
CIFAR_WIDTHS = (16, 32, 64)


class PaddedShortcut(nn.Module):
    """Option A of the paper: every second pixel, zeros in the additional channels, no parameters."""

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
    """What both kinds of block share: the shortcut around `residual`, or none."""

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


class ResNet(nn.Module):
    """Stem, `len(widths)` stages that halve height and width from the second on, average pooling, `fc`.

    Stem `imagenet`: 7x7 convolution and 3x3 max-pooling, both with stride 2. Stem `small`: one 3x3 convolution, stride 1.
    """

    def __init__(
        self,
        block: type[Block],
        layers: tuple[int, ...],
        *,
        widths: tuple[int, ...],
        stem: str,
        shortcut: str,
        num_classes: int,
    ):
        super().__init__()
        small = stem == "small"
        self.conv1 = nn.Conv2d(3, widths[0], 3 if small else 7, 1 if small else 2, padding=1 if small else 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        channels, self.stage_names = widths[0], []
        for i, (width, count) in enumerate(zip(widths, layers, strict=True)):
            blocks = []
            for j in range(count):
                blocks.append(block(channels, width, 2 if i > 0 and j == 0 else 1, shortcut))
                channels = width * block.expansion
            self.stage_names.append(f"layer{i + 1}")
            setattr(self, self.stage_names[-1], nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, num_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in self.stage_names:
            x = getattr(self, name)(x)
        return self.fc(self.avgpool(x).flatten(1))


def imagenet_resnet(depth: int, *, stem: str, shortcut: str, num_classes: int) -> ResNet:
    """ResNet-18/34/50/101/152 and their plain twins (`shortcut="none"`); `B` is torchvision's network."""
    block = BasicBlock if depth < 50 else Bottleneck
    layers = IMAGENET_LAYERS[depth]
    return ResNet(block, layers, widths=IMAGENET_WIDTHS, stem=stem, shortcut=shortcut, num_classes=num_classes)


def cifar_resnet(depth: int, *, shortcut: str, num_classes: int) -> ResNet:
    """The 6n + 2 layers of the paper's CIFAR-10 section: three stages of n basic blocks."""
    layers = ((depth - 2) // 6,) * 3
    return ResNet(BasicBlock, layers, widths=CIFAR_WIDTHS, stem="small", shortcut=shortcut, num_classes=num_classes)
