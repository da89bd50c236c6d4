"""One model in numbers: its costs as counted here, what was published about it, and its speed if measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from vision2.models.build import meta_network
from vision2.models.cards import ModelCard, card_for
from vision2.models.settings import ModelConfig
from vision2.profiling.count import Costs, count_costs

if TYPE_CHECKING:
    from vision2.profiling.speed import Measured

OWN_COUNT = "our own count"  # in the source of numbers that are not published


@dataclass(frozen=True)
class ModelSummary:
    """A model as counted and, if requested, as measured here."""

    label: str  # name of the `model=` option
    card: ModelCard
    published: ModelCard  # the card with only those numbers that apply to this network at this size
    num_classes: int
    costs: Costs
    measured: Measured | None = None


def summarise_model(
    label: str, model: ModelConfig, *, image_size_px: int | None = None, num_classes: int | None = None
) -> ModelSummary:
    """Count a model without allocating it; auxiliary classifiers are counted if the model can have them.

    Raises:
        UserError: for images that are too small for the model.
    """
    card = card_for(model)
    size, classes = image_size_px or card.image_size_px, num_classes or card.num_classes
    network = meta_network(replace(model, aux=card.has_aux), classes, size)
    return ModelSummary(label, card, _comparable(card, classes, size), classes, count_costs(network, size))


def _comparable(card: ModelCard, num_classes: int, image_size_px: int) -> ModelCard:
    """The card without numbers that are unpublished, or that are for another network or image size."""
    another = card.variant or num_classes != card.num_classes
    if another or OWN_COUNT in card.source:
        card = replace(card, parameters=None, parameters_aux=None, multiply_adds=None)
    if another:
        card = replace(card, top1_percent=None)
    return card if image_size_px == card.image_size_px else replace(card, multiply_adds=None)


def as_record(summary: ModelSummary) -> dict:
    """The summary as a JSON-serialisable dict."""
    return {
        "model": summary.label,
        "num_classes": summary.num_classes,
        **asdict(summary.costs),
        "published": {
            "paper": list(summary.card.paper),
            "year": summary.card.year,
            "parameters": summary.published.parameters,
            "multiply_adds": summary.published.multiply_adds,
            "top1_percent": summary.published.top1_percent,
            "source": summary.card.source,
            "variant": list(summary.card.variant),
        },
        "measured": asdict(summary.measured) if summary.measured else None,
    }
