"""Networks of torchvision: built without weights, their classifier removed, their modules sorted into stages."""

from __future__ import annotations

from torch import nn

from vision2.models.cards import ModelCard
from vision2.models.families.light_torchvision import torchvision_models
from vision2.models.families.small_stems import SMALL_STEMS
from vision2.models.network import NetworkParts, take_linear

CLASSIFIERS = {
    "alexnet": "classifier.6",
    "vgg": "classifier.6",
    "googlenet": "fc",
    "inception_v3": "fc",
    "resnext": "fc",
    "densenet": "classifier",
    "mobilenet_v2": "classifier.1",
    "mobilenet_v3": "classifier.3",
    "efficientnet": "classifier.1",
}
AUX_LINEARS = {  # in the order in which the network returns them after its main output
    "googlenet": {"aux2": "aux2.fc2", "aux1": "aux1.fc2"},
    "inception_v3": {"aux1": "AuxLogits.fc"},
}
GOOGLENET_STAGES = {
    "stem": ("conv1", "maxpool1", "conv2", "conv3", "maxpool2"),
    "inception3": ("inception3a", "inception3b", "maxpool3"),
    "inception4": ("inception4a", "inception4b", "inception4c", "inception4d", "inception4e", "maxpool4"),
    "inception5": ("inception5a", "inception5b"),
}
INCEPTION_V3_STAGES = {
    "stem": (
        "Conv2d_1a_3x3",
        "Conv2d_2a_3x3",
        "Conv2d_2b_3x3",
        "maxpool1",
        "Conv2d_3b_1x1",
        "Conv2d_4a_3x3",
        "maxpool2",
    ),
    "mixed5": ("Mixed_5b", "Mixed_5c", "Mixed_5d"),
    "mixed6": ("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    "mixed7": ("Mixed_7a", "Mixed_7b", "Mixed_7c"),
}
RESNET_STAGES = {
    "stem": ("conv1", "bn1", "relu", "maxpool"),
    **{f"layer{i}": (f"layer{i}",) for i in (1, 2, 3, 4)},
}


def build_torchvision(card: ModelCard, num_classes: int, *, aux: bool, stem: str) -> NetworkParts:
    """The network `card.name` of torchvision with random weights."""
    family, extra = card.family, {}
    if card.has_aux:
        # `transform_input` stays off: those statistics are part of the preprocessing and must be applied once.
        extra = {"aux_logits": aux, "init_weights": True, "transform_input": False}
    backbone = torchvision_models().get_model(card.name, weights=None, num_classes=num_classes, **extra)
    stages, head_key = stages_of(backbone, family), CLASSIFIERS[family]
    parts = NetworkParts(backbone, take_linear(backbone, head_key), stages, head_key, AUX_LINEARS[family] if aux else {})
    if stem == "small":
        SMALL_STEMS[family](parts)
    return parts


def stages_of(backbone: nn.Module, family: str) -> dict[str, tuple[str, ...]]:
    """Stage name -> module names, from input to output."""
    if family == "googlenet":
        return GOOGLENET_STAGES
    if family == "inception_v3":
        return INCEPTION_V3_STAGES
    if family == "resnext":
        return RESNET_STAGES
    if family == "densenet":
        return _densenet_stages(backbone.features)
    if family in ("alexnet", "vgg"):
        return _pooled_stages(backbone.features) | {"classifier": ("classifier",)}
    stages = _halving_stages(backbone.features)
    return stages | {"classifier": ("classifier",)} if family == "mobilenet_v3" else stages


def _densenet_stages(features: nn.Sequential) -> dict[str, tuple[str, ...]]:
    stages = {"stem": tuple(f"features.{name}" for name in ("conv0", "norm0", "relu0", "pool0") if hasattr(features, name))}
    for i in (1, 2, 3):
        stages[f"denseblock{i}"] = (f"features.denseblock{i}", f"features.transition{i}")
    return stages | {"denseblock4": ("features.denseblock4", "features.norm5")}


def _pooled_stages(features: nn.Sequential) -> dict[str, tuple[str, ...]]:
    """AlexNet and VGG: a stage ends with its max-pooling."""
    stages: dict[str, tuple[str, ...]] = {}
    names: list[str] = []
    for name, module in features.named_children():
        names.append(f"features.{name}")
        if isinstance(module, nn.MaxPool2d):
            stages[f"block{len(stages) + 1}"] = tuple(names)
            names = []
    return stages


def _halving_stages(features: nn.Sequential) -> dict[str, tuple[str, ...]]:
    """MobileNets and EfficientNets: a stage begins where height and width are halved; the last 1x1 is its own."""
    stages: dict[str, list[str]] = {"stem": ["features.0"]}
    for i, module in list(enumerate(features))[1:-1]:
        if any(isinstance(m, nn.Conv2d) and m.stride == (2, 2) for m in module.modules()):
            stages[f"stage{len(stages) + 1}"] = []
        list(stages.values())[-1].append(f"features.{i}")
    stages["last_conv"] = [f"features.{len(features) - 1}"]
    return {name: tuple(names) for name, names in stages.items()}
