"""`stem=small` for library networks on 32 px images: the first two halvings of height and width are removed (not in VGG).

Tensors keep their names. If only strides change (MobileNet), all pretrained tensors still fit; if the first convolution
shrinks (ResNeXt, DenseNet), its pretrained kernel is cropped when weights are loaded, and the run reports it.
"""

from __future__ import annotations

from torch import Tensor, nn

from vision2.models.network import NetworkParts


def small_conv(old: nn.Conv2d) -> nn.Conv2d:
    """A 3x3 convolution with stride 1 to replace a larger one."""
    new = nn.Conv2d(old.in_channels, old.out_channels, 3, padding=1, bias=old.bias is not None)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    return new


def small_resnext(parts: NetworkParts) -> None:
    parts.backbone.conv1, parts.backbone.maxpool = small_conv(parts.backbone.conv1), nn.Identity()


def small_densenet(parts: NetworkParts) -> None:
    features = parts.backbone.features
    features.conv0, features.pool0 = small_conv(features.conv0), nn.Identity()


def small_mobilenet(parts: NetworkParts) -> None:
    """Change the first two convolutions with stride 2 to stride 1."""
    halving = [m for m in parts.backbone.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    for conv in halving[:2]:
        conv.stride = (1, 1)


class SmallVGG(nn.Module):
    """VGG's convolutions and global pooling: 512 features, without the two linear layers of 4096."""

    def __init__(self, features: nn.Sequential):
        super().__init__()
        self.features, self.avgpool = features, nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.avgpool(self.features(x)).flatten(1)


def small_vgg(parts: NetworkParts) -> None:
    parts.backbone = SmallVGG(parts.backbone.features)
    parts.head = nn.Linear(512, parts.head.out_features)
    del parts.stages["classifier"]


SMALL_STEMS = {
    "resnext": small_resnext,
    "densenet": small_densenet,
    "mobilenet_v1": small_mobilenet,
    "mobilenet_v2": small_mobilenet,
    "vgg": small_vgg,
}
