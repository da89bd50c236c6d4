"""The Inception block, naive and with bottlenecks, and a small network of nine of them for 32 px images.

Szegedy et al., "Going Deeper with Convolutions", arXiv 1409.4842. Unlike in the paper, batch norm follows each
convolution (as in torchvision's GoogLeNet) unless it is switched off; as in the paper, and unlike in torchvision, the third
branch is a real 5x5.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vision2.models.families.batch_norm import remove_batch_norm
from vision2.models.network import NetworkParts


class Branches(NamedTuple):
    """Output channels of an Inception block. The naive block has None for `reduce3`, `reduce5` and `pool`."""

    conv1: int
    conv3: int
    conv5: int
    reduce3: int | None = None  # 1x1 bottleneck before the 3x3
    reduce5: int | None = None  # 1x1 bottleneck before the 5x5
    pool: int | None = None  # 1x1 projection after the max-pooling; None keeps all input channels

    def output_channels(self, in_channels: int) -> int:
        return self.conv1 + self.conv3 + self.conv5 + (in_channels if self.pool is None else self.pool)


def conv(in_channels: int, out_channels: int, kernel_px: int) -> nn.Sequential:
    """Convolution that keeps height and width, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_px, padding=kernel_px // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def bottlenecked(in_channels: int, reduce: int | None, out_channels: int, kernel_px: int) -> nn.Sequential:
    if reduce is None:
        return conv(in_channels, out_channels, kernel_px)
    return nn.Sequential(*conv(in_channels, reduce, 1), *conv(reduce, out_channels, kernel_px))


class InceptionBlock(nn.Module):
    """1x1, 3x3 and 5x5 convolutions and a 3x3 max-pooling in parallel; outputs concatenated along the channels."""

    def __init__(self, in_channels: int, branches: Branches):
        super().__init__()
        b = branches
        self.branch1 = conv(in_channels, b.conv1, 1)
        self.branch3 = bottlenecked(in_channels, b.reduce3, b.conv3, 3)
        self.branch5 = bottlenecked(in_channels, b.reduce5, b.conv5, 5)
        pooling = nn.MaxPool2d(3, stride=1, padding=1)
        self.pool = pooling if b.pool is None else nn.Sequential(pooling, *conv(in_channels, b.pool, 1))
        self.out_channels = b.output_channels(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out_channels, H, W)."""
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.pool(x)], dim=1)


# A quarter of GoogLeNet's widths (table 1): 1x1, 3x3, 5x5, reduction before 3x3, before 5x5, projection after pooling.
SMALL_BLOCKS = {
    "3a": Branches(16, 32, 8, 24, 4, 8),
    "3b": Branches(32, 48, 24, 32, 8, 16),
    "4a": Branches(48, 52, 12, 24, 4, 16),
    "4b": Branches(40, 56, 16, 28, 6, 16),
    "4c": Branches(32, 64, 16, 32, 6, 16),
    "4d": Branches(28, 72, 16, 36, 8, 16),
    "4e": Branches(64, 80, 32, 40, 8, 32),
    "5a": Branches(64, 80, 32, 40, 8, 32),
    "5b": Branches(96, 96, 32, 48, 12, 32),
}
STEM_CHANNELS = 48
AUX_AFTER = {"aux1": "4a", "aux2": "4d"}  # as in the paper


def auxiliary(in_channels: int, num_classes: int) -> nn.Sequential:
    """Pool to 4x4, 1x1 convolution, hidden layer and classifier: the paper's auxiliary classifier at a quarter width."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(4),
        *conv(in_channels, 32, 1),
        nn.Flatten(),
        nn.Linear(32 * 16, 256),
        nn.ReLU(inplace=True),
        nn.Dropout(0.7),
        nn.Linear(256, num_classes),
    )


class SmallInception(nn.Module):
    """3x3 stem, nine Inception blocks, max-pooling before blocks 4a and 5a, global average pooling, dropout."""

    def __init__(self, num_classes: int, *, aux: bool, naive: bool):
        super().__init__()
        self.stem, channels = conv(3, STEM_CHANNELS, 3), STEM_CHANNELS
        self.aux_after = {block: name for name, block in AUX_AFTER.items()} if aux else {}
        for name, branches in SMALL_BLOCKS.items():
            block = InceptionBlock(channels, Branches(*branches[:3]) if naive else branches)
            setattr(self, f"inception{name}", block)
            channels = block.out_channels
            if name in self.aux_after:
                setattr(self, self.aux_after[name], auxiliary(channels, num_classes))
        self.maxpool3, self.maxpool4 = nn.MaxPool2d(3, 2, padding=1), nn.MaxPool2d(3, 2, padding=1)
        self.avgpool, self.dropout, self.num_features = nn.AdaptiveAvgPool2d(1), nn.Dropout(0.4), channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(N, 3, H, W) -> features (N, 256); when training with auxiliary classifiers (features, aux1, aux2)."""
        x, aux = self.stem(x), []
        for name in SMALL_BLOCKS:
            x = getattr(self, f"inception{name}")(x)
            if self.training and name in self.aux_after:
                aux.append(getattr(self, self.aux_after[name])(x))
            if name in ("3b", "4e"):
                x = getattr(self, f"maxpool{name[0]}")(x)
        features = self.dropout(self.avgpool(x).flatten(1))
        return (features, *aux) if aux else features


def small_inception(num_classes: int, *, aux: bool, naive: bool, batch_norm: bool = True) -> NetworkParts:
    """`naive` leaves out every 1x1 reduction and projection, which the cost lesson shows to be expensive.

    Without batch norm, initial weights are those of Glorot and Bengio 2010, as was usual in 2014: each ReLU halves the
    variance of the signal, so that little gradient reaches the first layers. The weights of He et al. 2015 prevent that.
    """
    backbone = SmallInception(num_classes, aux=aux, naive=naive)
    if not batch_norm:
        remove_batch_norm(backbone)
        for module in backbone.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
    stages: dict[str, tuple[str, ...]] = {"stem": ("stem",)}
    for group, last in (("3", ("maxpool3",)), ("4", ("maxpool4",)), ("5", ())):
        stages[f"inception{group}"] = (*(f"inception{name}" for name in SMALL_BLOCKS if name[0] == group), *last)
    linears = {name: f"{name}.8" for name in AUX_AFTER} if aux else {}
    return NetworkParts(backbone, nn.Linear(backbone.num_features, num_classes), stages, head_key=None, aux_linears=linears)
