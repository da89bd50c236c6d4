"""Settings of a network and of its pretrained weights."""

from __future__ import annotations

from dataclasses import dataclass

from vision2.basics.settings import choice, number


@dataclass
class ModelConfig:
    name: str = "???"  # a model of the catalogue (`python -m vision2.summary model=all`) or of timm
    library: str = choice("catalogue", "catalogue", "timm")  # where the name is looked up
    stem: str | None = None  # imagenet | small (3x3, stride 1, no pooling); null = the model's default
    shortcut: str | None = None  # residual networks: A | B | none (= plain); null = the model's default
    width: float = number(1.0, 0.1, 4.0)  # MobileNet v1 width multiplier
    aux: bool = False  # auxiliary classifiers (GoogLeNet, Inception v3, smallinception)
    aux_weight: float = number(0.3, 0.0, 1.0)  # total loss = main + aux_weight * each auxiliary loss


@dataclass
class WeightsConfig:
    name: str = "auto"  # auto (what the strategy needs) | none | default | a published set, e.g. IMAGENET1K_V2
    path: str | None = None  # a local .pth or .safetensors file (or the index of several), or a checkpoint of vision2
    key: str | None = None  # which set of tensors to use where the file holds several, e.g. model_ema
    classes: str | None = None  # a file that names the classes of the head in weights.path, one per line; or imagenet
    sha256: str | None = None  # expected checksum of that file, the first 8 to 64 hexadecimal digits
    min_coverage: float = number(0.9, 0.0, 1.0)  # smallest share of the backbone's parameters and layers that must load
