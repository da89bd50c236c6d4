"""Model cards: what is published about each model, and how a configuration changes it. Only timm's cards import torch."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from vision2.basics.errors import UserError, suggest
from vision2.basics.preprocessing import Preprocessing
from vision2.models.settings import ModelConfig

CARDS_FILE = Path(__file__).with_name("cards.yaml")
PROJECTION_PARAMETERS = 2_752  # added by option B in a CIFAR ResNet: 1x1 convolutions and norms, 16 to 32 and 32 to 64 channels


@dataclass(frozen=True)
class ModelCard:
    """Published numbers for 1000 classes (CIFAR nets: 10) at the model's own image size, with their source.

    Multiply-adds are those of convolutions and linear layers in evaluation mode. None means not published, as for every
    variant (another stem or width).
    """

    name: str
    family: str
    library: str  # own | torchvision | timm
    paper: tuple[str, str]  # title, arXiv id ("" where there is none)
    year: int
    preprocessing: Preprocessing  # that the published weights expect
    source: str  # where the numbers come from
    parameters: int | None = None  # without auxiliary classifiers
    multiply_adds: float | None = None
    top1_percent: float | None = None
    parameters_aux: int | None = None  # with auxiliary classifiers
    min_size_px: int = 1  # smallest image side
    min_size_train_aux_px: int | None = None  # when training with auxiliary classifiers
    min_size_small_px: int = 1  # with stem=small
    weights: tuple[str, ...] = ()  # names of the published sets, the default last
    stems: tuple[str, ...] = ("imagenet",)  # the first is the model's own
    shortcuts: tuple[str, ...] = ()  # the first is the model's own
    has_width: bool = False  # accepts model.width
    num_classes: int = 1000  # that the published numbers are for
    slides: str = ""  # numbers printed in the lecture
    note: str = ""  # what this network is, if its name alone could mislead
    variant: tuple[str, ...] = ()  # settings that differ from what was published

    @property
    def image_size_px(self) -> int:
        return self.preprocessing.image_size_px

    @property
    def accuracy_set(self) -> str:
        """The data set that the published accuracy was measured on."""
        return "ImageNet" if self.num_classes == 1000 else "CIFAR-10"

    @property
    def has_batch_norm_switch(self) -> bool:
        """Whether it accepts `model.batch_norm=false`."""
        return self.library == "own" and self.family in ("plain", "resnet", "smallinception")

    @property
    def has_aux(self) -> bool:
        return self.min_size_train_aux_px is not None


@cache
def catalogue() -> dict[str, ModelCard]:
    """All models in the catalogue by name, read from cards.yaml."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is ten times faster
    data = yaml.load(CARDS_FILE.read_text(encoding="utf-8"), loader)
    return {
        name: _card(name, data["papers"], data["defaults"] | block | model)
        for block in data["blocks"]
        for name, model in block["models"].items()
    }


def _card(name: str, papers: dict[str, list], values: dict[str, Any]) -> ModelCard:
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    values.pop("models")
    parameters, giga, top1 = values.pop("counts")
    title, arxiv, year = papers[values["family"]]
    preprocessing = {f.name: values.pop(f.name) for f in fields(Preprocessing) if f.name in values}
    return ModelCard(
        name=name,
        paper=(title, arxiv),
        year=year,
        preprocessing=Preprocessing(**preprocessing),
        parameters=parameters,
        multiply_adds=giga * 1e9,
        top1_percent=top1,
        **values,
    )


def card_for(model: ModelConfig) -> ModelCard:
    """The card of the model that `model` describes; a variant keeps the paper but not the published numbers.

    Raises:
        UserError: for an unknown name, or a stem, shortcut, batch norm or width that the model does not have.
    """
    if model.library == "timm":
        from vision2.models.families.timm_networks import timm_card  # imports timm, and so torch

        return _with_stem(timm_card(model.name), model.stem)
    if model.name not in catalogue():
        raise UserError(
            f"unknown model '{model.name}' (for a timm model type model=timm model.name=NAME){suggest(model.name, catalogue())}"
        )
    card = _with_shortcut(catalogue()[model.name], model.shortcut)
    return _with_width(_with_batch_norm(_with_stem(card, model.stem), model.batch_norm), model.width)


def _with_shortcut(card: ModelCard, wanted: str | None) -> ModelCard:
    if wanted is None or card.shortcuts[:1] == (wanted,):
        return card
    if wanted not in card.shortcuts:
        twin = card.name.replace("plain", "resnet")
        if len(card.shortcuts) > 1:
            hint = f"allowed: {', '.join(card.shortcuts)}"
        elif card.family == "plain" and wanted in ("A", "B"):
            hint = f"type model.name={twin} model.shortcut={wanted}"
        else:
            hint = "leave it out, or use a ResNet with A, B or none"
        raise UserError(f"{card.name} does not accept model.shortcut={wanted}; {hint}")
    if wanted == "none":
        return catalogue()[card.name.replace("resnet", "plain")]
    cifar = card.stems == ("small",) and card.parameters is not None
    return _variant(card, f"shortcut={wanted}", parameters=card.parameters + PROJECTION_PARAMETERS if cifar else None)


def _with_stem(card: ModelCard, wanted: str | None) -> ModelCard:
    if wanted is None or wanted == card.stems[0]:
        return card
    if wanted not in card.stems:
        raise UserError(f"{card.name} does not accept model.stem={wanted}; allowed: {', '.join(card.stems)}")
    preprocessing = replace(card.preprocessing, image_size_px=32, resize_px=32)
    return _variant(card, f"stem={wanted}", preprocessing=preprocessing, min_size_px=card.min_size_small_px)


def _with_batch_norm(card: ModelCard, wanted: bool) -> ModelCard:
    if wanted:
        return card
    if not card.has_batch_norm_switch:
        raise UserError(
            f"{card.name} does not accept model.batch_norm=false; leave it out, or use a network such as resnet20, plain20 or"
            " smallinception"
        )
    return _variant(card, "batch_norm=false", weights=())


def _with_width(card: ModelCard, width: float) -> ModelCard:
    if width == 1.0:
        return card
    if not card.has_width:
        raise UserError(f"{card.name} has no width multiplier; leave out model.width={width:g} or use model=mobilenet_v1")
    return _variant(card, f"width={width:g}", weights=())


def _variant(card: ModelCard, setting: str, **changes: Any) -> ModelCard:
    unknown = {
        "parameters": None,
        "parameters_aux": None,
        "multiply_adds": None,
        "top1_percent": None,
        "source": "",
        "slides": "",
    }
    return replace(card, **(unknown | {"variant": (*card.variant, setting)} | changes))


def minimum_size(model: ModelConfig, *, training: bool) -> int:
    """The smallest image side in pixels; auxiliary classifiers, which run only in training, may need more."""
    card = card_for(model)
    return card.min_size_train_aux_px if training and model.aux and card.has_aux else card.min_size_px


def check_size(model: ModelConfig, image_size_px: int, *, training: bool) -> None:
    """Refuse images that the network would downsample to nothing.

    Raises:
        UserError: with the smallest size and the keys to change.
    """
    least = minimum_size(model, training=training)
    if image_size_px < least:
        fits_without_aux = model.aux and minimum_size(model, training=False) <= image_size_px
        raise UserError(
            f"images of {image_size_px} px are too small for {model.name}, which needs at least {least} px;"
            f" set dataset.image_size_px={least} or more{' (or model.aux=false)' if fits_without_aux else ''}"
        )
