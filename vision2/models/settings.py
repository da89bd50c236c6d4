"""Settings of a network and of its pretrained weights."""

from __future__ import annotations

from dataclasses import dataclass

from vision2.basics.settings import choice, number


@dataclass
class ModelConfig:
    name: str = "???"  # a model in the catalogue (`python -m vision2.summary model=all`) or in timm
    library: str = choice("catalogue", "catalogue", "timm")  # where the name is looked up
    stem: str | None = None  # imagenet | small (3x3, stride 1, no pooling); null = the model's default
    shortcut: str | None = None  # residual networks: A | B | none (= plain); null = the model's default
    batch_norm: bool = True  # residual, plain and smallinception: false = without, as before 2015; a bias replaces each
    width: float = number(1.0, 0.1, 4.0)  # MobileNet v1 width multiplier
    aux: bool = False  # auxiliary classifiers (GoogLeNet, Inception v3, smallinception)
    aux_weight: float = number(0.3, 0.0, 1.0)  # loss = main loss + aux_weight * each auxiliary loss


@dataclass
class WeightsConfig:
    name: str = "auto"  # auto (what the strategy needs) | none | default | a published set, e.g. IMAGENET1K_V2
    path: str | None = None  # a local .pth or .safetensors file (or a shard index), or a vision2 checkpoint or run folder
    key: str | None = None  # which set of tensors to use if the file holds several, e.g. model_ema
    classes: str | None = None  # a file with the class names of the head in weights.path, one per line; or imagenet
    sha256: str | None = None  # expected SHA-256 of the file in weights.path: its first 8 to 64 hexadecimal digits
    min_coverage: float = number(0.9, 0.0, 1.0)  # minimum share of the backbone's parameters and layers that must load
