"""Find pretrained weights, load them by name and shape, and account for every tensor.

Weights that are unavailable or do not fit are an error; a network is never silently left at its random initialisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import Preprocessing
from vision2.models.build import meta_network
from vision2.models.cards import ModelCard, card_for
from vision2.models.heads import LINEAR
from vision2.models.network import Network
from vision2.models.settings import ModelConfig, WeightsConfig
from vision2.models.weights.classes import IMAGENET_CLASSES, imagenet_classes, named_classes, read_classes, says_imagenet
from vision2.models.weights.coverage import WeightsReport, check_complete, report_of
from vision2.models.weights.names import Named, name_tensors
from vision2.models.weights.published import published_file
from vision2.models.weights.read import checked_sha256, file_at, read_file, tensors_of
from vision2.models.weights.saved_network import saved_network
from vision2.models.weights.shapes import first_kernel, fitted

OUR_SETTINGS = ("name", "library", "shortcut", "batch_norm", "width")  # the settings that decide which tensors a network has


@dataclass(frozen=True, eq=False)
class WeightsSource:
    """Weights in memory: the tensors under the file's own names, and the preprocessing they expect."""

    name: str
    path: Path
    sha256: str
    preprocessing: Preprocessing
    tensors: dict[str, Tensor] = field(repr=False)
    own_classes: tuple[str, ...] | None = None  # recorded in the file, or given by weights.classes
    is_imagenet: bool = False  # published for ImageNet, or the file says so
    key: str | None = None  # weights.key

    def classes_of(self, outputs: int) -> tuple[str, ...] | None:
        """The classes of a head with this many outputs; None if unknown."""
        if self.own_classes is not None and len(self.own_classes) == outputs:
            return self.own_classes
        return imagenet_classes() if self.is_imagenet and outputs == IMAGENET_CLASSES else None


def find_weights(config: WeightsConfig, model: ModelConfig) -> WeightsSource | None:
    """The weights that the configuration names (None for `weights.name=none`), read into memory.

    Raises:
        UserError: if they are unavailable or damaged, or a checkpoint is for another model.
    """
    card = card_for(model)
    if config.path:
        return _local(config, model, card)
    if config.name == "none":
        return None
    found = published_file(card, "default" if config.name == "auto" else config.name)
    tensors = tensors_of(read_file(found.path), found.path)
    return WeightsSource(found.name, found.path, found.sha256, found.preprocessing, tensors, is_imagenet=found.is_imagenet)


def _local(config: WeightsConfig, model: ModelConfig, card: ModelCard) -> WeightsSource:
    path = file_at(Path(config.path).expanduser())
    sha256, content = checked_sha256(path, config.sha256), read_file(path)
    given = read_classes(config.classes) if config.classes else None
    if "model_config" in content:
        return _own(path, sha256, content, model)
    return WeightsSource(
        path.name,
        path,
        sha256,
        card.preprocessing,
        tensors_of(content, path),
        given or named_classes(content),
        is_imagenet=given is None and says_imagenet(path, content),
        key=config.key,
    )


def _own(path: Path, sha256: str, content: dict[str, Any], model: ModelConfig) -> WeightsSource:
    """A vision2 checkpoint. Its classifier is left out unless it is a plain linear layer."""
    saved = saved_network(content, path)
    settings = {"batch_norm": True} | saved.model_config  # files from before there was the setting
    other = {key: settings.get(key) for key in OUR_SETTINGS if settings.get(key) != getattr(model, key)}
    if other:
        words = (f"model.{key}={'null' if value is None else value}" for key, value in other.items())
        raise UserError(f"{path} holds another model; to use it, type {' '.join(words)}")
    tensors = tensors_of({"model": saved.tensors}, path)
    if saved.classifier and saved.classifier["kind"] != LINEAR:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("model.head.")}
    return WeightsSource(f"vision2 checkpoint {path}", path, sha256, saved.preprocessing, tensors, saved.classes)


def outputs_of(source: WeightsSource, model: ModelConfig) -> int | None:
    """The number of outputs of the file's head; None if it has no head for this model."""
    head = name_tensors(meta_network(model), source.tensors, source.key).tensors.get("head.weight")
    return None if head is None else len(head)


def load_weights(
    network: Network, source: WeightsSource, min_coverage: float, *, classes: Sequence[str] | None = None
) -> WeightsReport:
    """Copy what fits by name and shape, and adopt the source's preprocessing.

    Args:
        classes: those of the data; the head is kept only if it is known to be for the same ones (in any order). With None
            it is kept whenever it fits.

    Raises:
        UserError: if less than `min_coverage` of the backbone would be loaded, or the first layer or running statistics
            are missing; nothing is copied then.
    """
    own = network.state_dict()
    named = name_tensors(network, source.tensors, source.key)
    head_note, given = _head_for(network, source, named, classes)
    unusable = _unusable(network, source, kept_head=head_note.startswith("kept"))
    first = first_kernel(own)
    fitting, adapted = {}, {}
    for name, tensor in given.items():
        found = None
        if name in own and not name.startswith(unusable):
            found = fitted(tensor, own[name], first=name == first)
        if found is not None:
            fitting[name], rule = found
            adapted |= {name: rule} if rule else {}
    report = report_of(network, source, given, fitting, adapted=adapted, head=head_note, notes=named.notes)
    check_complete(network, report, min_coverage)
    with torch.no_grad():
        for name, tensor in fitting.items():
            own[name].copy_(tensor)
    network.preprocessing = source.preprocessing
    return report


def _head_for(
    network: Network, source: WeightsSource, named: Named, classes: Sequence[str] | None
) -> tuple[str, dict[str, Tensor]]:
    """A note on the head that begins with `kept` or `new`, and the tensors, with its rows in the order of `classes`."""
    weight = named.tensors.get("head.weight")
    if weight is None:
        return "new: the file has no head for these features", named.tensors
    outputs, known = len(weight), source.classes_of(len(weight))
    if classes is None:
        fits = outputs == network.num_classes
        return ("kept" if fits else f"new: the file's head is for {outputs} classes"), named.tensors
    if known is None and outputs == len(classes):
        return (
            f"new: the file does not name the {outputs} classes of its head; list them, one per line, in weights.classes=FILE",
            named.tensors,
        )
    if known is None or sorted(known) != sorted(classes):
        return f"new: the file's head is for {outputs} {'' if outputs != len(classes) else 'other '}classes", named.tensors
    rows = torch.tensor([known.index(name) for name in classes])
    ordered = {name: named.tensors[name][rows] for name in ("head.weight", "head.bias")}
    return f"kept: its {outputs} classes are those of the data", named.tensors | ordered


def _unusable(network: Network, source: WeightsSource, *, kept_head: bool) -> tuple[str, ...]:
    """Prefixes of tensors that must not be used even if they fit."""
    prefixes = [] if kept_head else ["head.", *(f"{linear}." for linear in network.aux_linears.values())]
    own_layout = any(name.startswith(("backbone.", "model.backbone.")) for name in source.tensors)
    if network.card.family == "googlenet" and not own_layout:
        prefixes.append("backbone.aux")  # torchvision's file has them untrained
    return tuple(prefixes)
