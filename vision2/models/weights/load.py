"""Pretrained weights: found before anything else happens, loaded by name and shape, every tensor accounted for.

Weights that are not available, or do not fit, are an error, never a silent random start.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import Preprocessing
from vision2.models.cards import ModelCard, card_for
from vision2.models.families.light_torchvision import torchvision_models
from vision2.models.network import Network
from vision2.models.settings import ModelConfig, WeightsConfig
from vision2.models.weights.published import published_file
from vision2.models.weights.read import checked_sha256, read_file, tensors_of

SHOWN = 3  # names in a message
IMAGENET_CLASSES = 1000
OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")  # torchvision's files: norm.1 for norm1
OUR_SETTINGS = ("name", "library", "shortcut", "width")  # those that decide which tensors a network has


@dataclass(frozen=True, eq=False)
class WeightsSource:
    """Weights in memory: the tensors as the file names them, and how images are prepared for them."""

    name: str
    path: Path
    sha256: str
    preprocessing: Preprocessing
    tensors: dict[str, Tensor] = field(repr=False)
    own_classes: tuple[str, ...] | None = None  # as recorded in our checkpoint

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Classes of the head in the file: as recorded, ImageNet's when it has 1000 outputs, else None (unknown)."""
        return self.own_classes or (imagenet_classes() if self._is_of_imagenet() else None)

    def is_of_other_classes(self, classes: Sequence[str]) -> bool:
        """Whether a head in the file with that many outputs is known to be for other classes than `classes`."""
        if self.own_classes is None and len(classes) != IMAGENET_CLASSES:
            return False
        return self.classes is not None and tuple(classes) != self.classes

    def _is_of_imagenet(self) -> bool:
        return any(t.ndim == 1 and len(t) == IMAGENET_CLASSES and "bias" in name for name, t in self.tensors.items())


@dataclass(frozen=True)
class WeightsReport:
    """What was loaded. Totals are of the backbone: all but the head, the auxiliary classifiers and batch counters."""

    source: str
    sha256: str
    tensors_loaded: int
    tensors_total: int
    parameters_loaded: int
    parameters_total: int
    adapted: tuple[str, ...]  # cropped to fit
    dropped: tuple[str, ...]  # in the file, not used
    kept: tuple[str, ...]  # in the network, not in the file: they keep their random start
    preprocessing: Preprocessing

    @property
    def coverage(self) -> float:
        return self.parameters_loaded / self.parameters_total

    def describe(self) -> str:
        """One line for the terminal, more when something did not fit."""
        lines = [
            f"weights: {self.source} (sha256 {self.sha256[:12]}), {self.tensors_loaded} of {self.tensors_total} backbone"
            f" tensors, {self.parameters_loaded:,} of {self.parameters_total:,} parameters"
        ]
        for text, names in (("adapted", self.adapted), ("dropped", self.dropped), ("new, random", self.kept)):
            if names:
                lines.append(f"  {text}: {_some(names)}")
        return "\n".join(lines)


def find_weights(config: WeightsConfig, model: ModelConfig) -> WeightsSource | None:
    """The weights that the configuration names (None for `weights.name=none`), read into memory.

    Raises:
        UserError: when they are not available, are damaged, or belong to another model of ours.
    """
    card = card_for(model)
    if config.path:
        return _local(config, model, card)
    if config.name == "none":
        return None
    found = published_file(card, "default" if config.name == "auto" else config.name)
    tensors = tensors_of(read_file(found.path), found.path)
    return WeightsSource(found.name, found.path, found.sha256, found.preprocessing, tensors)


def _local(config: WeightsConfig, model: ModelConfig, card: ModelCard) -> WeightsSource:
    path = Path(config.path).expanduser()
    if path.is_dir():
        path = path / "best.pt"
    if not path.is_file():
        raise UserError(f"weights.path={config.path}: {path} does not exist")
    sha256, content = checked_sha256(path, config.sha256), read_file(path)
    tensors = tensors_of(content, path)
    if "model_config" not in content:
        return WeightsSource(path.name, path, sha256, card.preprocessing, tensors)
    _check_same_model(content["model_config"], model, path)
    preprocessing = Preprocessing.from_dict(content["preprocessing"])
    return WeightsSource(f"our checkpoint {path}", path, sha256, preprocessing, tensors, tuple(content["classes"]))


def _check_same_model(saved: dict[str, Any], model: ModelConfig, path: Path) -> None:
    other = [f"model.{key}={saved.get(key)}" for key in OUR_SETTINGS if saved.get(key) != getattr(model, key)]
    if other:
        raise UserError(f"{path} holds another model; to use it type {' '.join(other)}")


def imagenet_classes() -> tuple[str, ...]:
    """The 1000 class names, in order, as torchvision has them."""
    return tuple(torchvision_models().ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def load_weights(
    network: Network, source: WeightsSource, min_coverage: float, *, classes: Sequence[str] | None = None
) -> WeightsReport:
    """Copy what fits by name and shape, and adopt the source's preprocessing.

    A head for another number of classes is dropped, and so is one for other classes when `classes` are given.

    Raises:
        UserError: when less than `min_coverage` of the backbone's parameters would be loaded; then nothing is copied.
    """
    own = network.state_dict()
    given = network_names(network, source.tensors)
    unusable = _unusable(network, source, classes)
    fitting, adapted = {}, []
    for name, tensor in given.items():
        if name not in own or name.startswith(unusable):
            continue
        if own[name].shape == tensor.shape:
            fitting[name] = tensor
        elif (cropped := centre_crop(tensor, own[name])) is not None:
            fitting[name] = cropped
            adapted.append(name)
    report = _report(network, source, given, fitting, adapted)
    if report.coverage < min_coverage or report.parameters_loaded == 0:
        raise _too_little(network, report, min_coverage)
    with torch.no_grad():
        for name, tensor in fitting.items():
            own[name].copy_(tensor)
    network.preprocessing = source.preprocessing
    return report


def network_names(network: Network, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors under our names: `backbone.<library name>` and `head.*`."""
    if any(name.startswith("backbone.") for name in tensors):
        return dict(tensors)
    tensors = {(f"{m[1]}{m[2]}" if (m := OLD_DENSENET.fullmatch(n)) else n): t for n, t in tensors.items()}
    convert = getattr(sys.modules[type(network.backbone).__module__], "checkpoint_filter_fn", None)
    if convert is not None and network.card.family == "timm":  # timm's own conversion of old layouts and other sizes
        tensors = convert(dict(tensors), network.backbone)
    head = f"{network.head_key}." if network.head_key else None
    renamed = {}
    for name, tensor in tensors.items():
        is_head = head is not None and name.startswith(head)
        renamed["head." + name.removeprefix(head) if is_head else f"backbone.{name}"] = tensor
    return renamed


def _unusable(network: Network, source: WeightsSource, classes: Sequence[str] | None) -> tuple[str, ...]:
    """Prefixes of tensors that must not be used although they may fit."""
    prefixes = []
    own_layout = any(name.startswith("backbone.") for name in source.tensors)
    if network.card.family == "googlenet" and not own_layout:
        prefixes.append("backbone.aux")  # torchvision's file has them, untrained
    if classes is not None and source.is_of_other_classes(classes):
        prefixes += ["head.", *(f"{linear}." for linear in network.aux_linears.values())]
    return tuple(prefixes)


def centre_crop(kernel: Tensor, wanted: Tensor) -> Tensor | None:
    """The centre of a larger convolution kernel (7x7 to 3x3), or None where the shapes differ in another way."""
    if kernel.ndim != 4 or wanted.ndim != 4 or kernel.shape[:2] != wanted.shape[:2]:
        return None
    margins = [(have - want) for have, want in zip(kernel.shape[2:], wanted.shape[2:], strict=True)]
    if any(margin < 0 or margin % 2 for margin in margins):
        return None
    top, left = (margin // 2 for margin in margins)
    return kernel[:, :, top : top + wanted.shape[2], left : left + wanted.shape[3]]


def _report(
    network: Network, source: WeightsSource, given: dict[str, Tensor], fitting: dict[str, Tensor], adapted: list[str]
) -> WeightsReport:
    aside = tuple(p for stage in ("head", "aux") for p in network.stages.get(stage, ()))
    parameters = dict(network.named_parameters())
    counted = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    backbone = [name for name in counted if not name.startswith(aside)]
    return WeightsReport(
        source=source.name,
        sha256=source.sha256,
        tensors_loaded=sum(name in fitting for name in backbone),
        tensors_total=len(backbone),
        parameters_loaded=sum(parameters[n].numel() for n in backbone if n in parameters and n in fitting),
        parameters_total=sum(parameters[n].numel() for n in backbone if n in parameters),
        adapted=tuple(adapted),
        dropped=tuple(name for name in given if name not in fitting and not name.endswith("num_batches_tracked")),
        kept=tuple(name for name in counted if name not in fitting),
        preprocessing=source.preprocessing,
    )


def _too_little(network: Network, report: WeightsReport, min_coverage: float) -> UserError:
    return UserError(
        f"{report.source} fills {report.coverage:.1%} of the backbone of {network.name}, {min_coverage:.0%} is required"
        f" (missing: {_some(report.kept)}; not used: {_some(report.dropped)});"
        " if the file is for this model, lower weights.min_coverage"
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more if names else "none"
