"""Small networks of the papers on few-shot learning, and none at all: the pixels."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from vision2.models.network import NetworkParts

BLOCKS, CHANNELS = 4, 64


def conv4(num_classes: int, *, width: float, image_size_px: int) -> NetworkParts:
    """Four blocks of 3x3 convolution, batch norm, ReLU and 2x2 max-pooling (Vinyals et al. 2016, section 4.1).

    The features are the last maps, flattened: 64 numbers at 28 px. Pooling comes before the ReLU, which gives the same
    result, because the ReLU preserves order, on a quarter of the values.
    """
    channels = max(1, round(CHANNELS * width))
    blocks, last = OrderedDict(), 3
    for i in range(1, BLOCKS + 1):
        convolution = nn.Conv2d(last, channels, 3, padding=1)
        norm, pool, relu = nn.BatchNorm2d(channels), nn.MaxPool2d(2), nn.ReLU(inplace=True)
        blocks[f"block{i}"] = nn.Sequential(OrderedDict(conv=convolution, norm=norm, pool=pool, relu=relu))
        last = channels
    stages = {name: (name,) for name in blocks}
    backbone = nn.Sequential(OrderedDict(blocks, flatten=nn.Flatten()))
    head = nn.Linear(channels * (image_size_px // 2**BLOCKS) ** 2, num_classes)
    return NetworkParts(backbone, head, stages, head_key=None)


def pixels(num_classes: int, *, image_size_px: int) -> NetworkParts:
    """The normalised pixels as features (N, 3 * H * W), for comparison: nothing is learned but a head."""
    return NetworkParts(nn.Flatten(), nn.Linear(3 * image_size_px**2, num_classes), {}, head_key=None)
