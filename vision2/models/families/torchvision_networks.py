"""torchvision networks, built without weights, with the classifier removed and the modules grouped into stages."""

from __future__ import annotations

from vision2.models.cards import ModelCard
from vision2.models.families.light_torchvision import torchvision_models
from vision2.models.families.small_stems import SMALL_STEMS
from vision2.models.families.stages import listed_parts, stages_of
from vision2.models.network import NetworkParts, take_linear


def build_torchvision(card: ModelCard, num_classes: int, *, aux: bool, stem: str) -> NetworkParts:
    """torchvision's network `card.name` with random weights."""
    listed, extra = listed_parts()[card.family], {}
    if card.has_aux:
        # `transform_input` stays off: those statistics are part of the preprocessing and must be applied only once.
        extra = {"aux_logits": aux, "init_weights": True, "transform_input": False}
    backbone = torchvision_models().get_model(card.name, weights=None, num_classes=num_classes, **extra)
    head_key, aux_linears = listed["head_key"], listed["aux_linears"] if aux else {}
    stages, head = stages_of(backbone, card.family), take_linear(backbone, head_key)
    parts = NetworkParts(backbone, head, stages, head_key, aux_linears)
    if stem == "small":
        SMALL_STEMS[card.family](parts)
    return parts
