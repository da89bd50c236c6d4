"""The stages of a library's network, from input to output: listed in parts.yaml, or derived from its modules."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from torch import nn

Stages = dict[str, tuple[str, ...]]  # stage name -> names of its modules


@cache
def listed_parts() -> dict[str, dict]:
    return yaml.safe_load(Path(__file__).with_name("parts.yaml").read_text(encoding="utf-8"))


def stages_of(backbone: nn.Module, family: str) -> Stages:
    """Stages of a torchvision or timm network without its classifier."""
    if listed := listed_parts().get(family, {}).get("stages"):
        return {stage: tuple(names) for stage, names in listed.items()}
    if family == "timm":
        return _stages_of_parts(backbone)
    if family in ("alexnet", "vgg"):
        return _pooled_stages(backbone.features) | {"classifier": ("classifier",)}
    stages = _halving_stages(backbone.features)
    return stages | {"classifier": ("classifier",)} if family == "mobilenet_v3" else stages


def _pooled_stages(features: nn.Sequential) -> Stages:
    """AlexNet and VGG: a stage ends with its max-pooling."""
    stages, names = {}, []
    for name, module in features.named_children():
        names.append(f"features.{name}")
        if isinstance(module, nn.MaxPool2d):
            stages[f"block{len(stages) + 1}"], names = tuple(names), []
    return stages


def _halving_stages(features: nn.Sequential) -> Stages:
    """MobileNets and EfficientNets: a stage begins where height and width are halved; the last 1x1 convolution is one too."""
    stages, last = {"stem": ("features.0",)}, "stem"
    for i, module in list(enumerate(features))[1:-1]:
        if any(isinstance(m, nn.Conv2d) and m.stride == (2, 2) for m in module.modules()):
            last = f"stage{len(stages) + 1}"
        stages[last] = (*stages.get(last, ()), f"features.{i}")
    return stages | {"last_conv": (f"features.{len(features) - 1}",)}


def _stages_of_parts(backbone: nn.Module) -> Stages:
    """One stage per top-level part with parameters, or per block if that part is a sequence of blocks.

    Norms belong to the stage before them; class tokens and position embeddings, which have no output, to the one after.
    """
    stages: Stages = {}
    for piece in dict.fromkeys(_piece(backbone, name) for name, _ in backbone.named_parameters()):
        last = next(reversed(stages), None)
        alone = last is not None and all(isinstance(getattr(backbone, n, None), nn.Parameter) for n in stages[last])
        if last is not None and (alone or "norm" in piece or piece.startswith("bn")):
            stages[last] = (*stages[last], piece)
        else:
            stages["neck" if piece in ("head", "aux") else piece] = (piece,)
    return stages


def _piece(backbone: nn.Module, parameter: str) -> str:
    """The part of the backbone that a parameter is in, e.g. `blocks.3` of `blocks.3.attn.qkv.weight`."""
    first, _, rest = parameter.partition(".")
    part = getattr(backbone, first)
    if not isinstance(part, nn.Sequential | nn.ModuleList) or first[-1].isdigit() or first == "stem":
        return first
    blocks = [child for child in part if any(True for _ in child.children())]
    return f"{first}.{rest.partition('.')[0]}" if len(blocks) == len(part) else first
