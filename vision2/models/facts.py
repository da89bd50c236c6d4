"""What is published about each model of the catalogue, and what a configuration makes of it. Torch-free."""

from __future__ import annotations

from dataclasses import replace

from vision2.basics.errors import UserError, suggest
from vision2.models.card import ModelFacts
from vision2.models.published import FACTS
from vision2.models.settings import ModelConfig


def facts_for(model: ModelConfig) -> ModelFacts:
    """The facts of what `model` describes; a variant keeps the paper and loses the published numbers.

    Raises:
        UserError: for an unknown name, or a stem, shortcut or width that the model does not have.
    """
    if model.library == "timm":
        from vision2.models.families.timm_networks import timm_facts  # imports timm and with it torch

        return _with_stem(timm_facts(model.name), model)
    if model.name not in FACTS:
        raise UserError(
            f"unknown model '{model.name}'{suggest(model.name, FACTS)}; any of timm's: model=timm model.name=..."
        )
    facts = _with_stem(_with_shortcut(FACTS[model.name], model), model)
    return _with_width(facts, model)


def _with_shortcut(facts: ModelFacts, model: ModelConfig) -> ModelFacts:
    wanted = model.shortcut
    if wanted is None or facts.shortcuts[:1] == (wanted,):
        return facts
    if wanted not in facts.shortcuts:
        twin = facts.name.replace("plain", "resnet")
        hint = (
            f"use model.name={twin} with it"
            if facts.family == "plain"
            else "only the resnets have shortcut A, B or none"
        )
        raise UserError(f"{facts.name} does not take model.shortcut={wanted}; {hint}")
    if wanted == "none":
        return FACTS[facts.name.replace("resnet", "plain")]
    extra = {f"resnet{depth}": 2_752 for depth in (20, 32, 44, 56, 110)}.get(
        facts.name
    )  # two 1x1 convolutions and norms
    parameters = facts.parameters + extra if extra and facts.parameters else None
    return _variant(facts, f"shortcut={wanted}", parameters=parameters)


def _with_stem(facts: ModelFacts, model: ModelConfig) -> ModelFacts:
    wanted = model.stem
    if wanted is None or wanted == facts.stems[0]:
        return facts
    if wanted not in facts.stems:
        raise UserError(f"{facts.name} does not take model.stem={wanted}; allowed: {', '.join(facts.stems)}")
    preprocessing = replace(facts.preprocessing, image_size_px=32, resize_px=32)
    least = facts.min_size_small_px
    facts = _variant(facts, f"stem={wanted}", min_size_eval_px=least, min_size_train_px=least)
    return replace(facts, preprocessing=preprocessing)


def _with_width(facts: ModelFacts, model: ModelConfig) -> ModelFacts:
    if model.width == 1.0:
        return facts
    if not facts.has_width:
        raise UserError(
            f"{facts.name} has no width multiplier; leave out model.width={model.width:g} or use model=mobilenet_v1"
        )
    return replace(_variant(facts, f"width={model.width:g}"), weights=())


def _variant(facts: ModelFacts, setting: str, **changes) -> ModelFacts:
    unknown = {"parameters": None, "parameters_aux": None, "multiply_adds": None, "top1_percent": None}
    return replace(facts, **(unknown | {"facts_source": "", "variant": (*facts.variant, setting)} | changes))


def minimum_size(model: ModelConfig, training: bool) -> int:
    """The smallest image side in pixels; auxiliary classifiers need more, and run in training only."""
    facts = facts_for(model)
    if not training:
        return facts.min_size_eval_px
    if model.aux and facts.has_aux:
        return facts.min_size_train_aux_px
    return facts.min_size_train_px


def check_size(model: ModelConfig, image_size_px: int, *, training: bool) -> None:
    """Refuse images that shrink to nothing on their way.

    Raises:
        UserError: naming the smallest size and the keys to change.
    """
    least = minimum_size(model, training)
    if image_size_px < least:
        fits_without_aux = model.aux and minimum_size(model, training=False) <= image_size_px
        raise UserError(
            f"images of {image_size_px} px are too small for {model.name}: its smallest size is {least} px;"
            f" set dataset.image_size_px={least} or more{' (or model.aux=false)' if fits_without_aux else ''}"
        )
