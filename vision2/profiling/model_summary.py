"""One model in numbers: its costs as counted here, what was published about it, its speed where it was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from vision2.models.build import meta_network
from vision2.models.cards import ModelCard, card_for
from vision2.models.settings import ModelConfig
from vision2.profiling.count import Costs, count_costs

if TYPE_CHECKING:
    from vision2.profiling.speed import Measured

OWN_COUNT = "our own count"  # in the source of numbers that nobody else published


@dataclass(frozen=True)
class ModelSummary:
    """A model as counted here, and as measured here where that was asked for."""

    label: str  # the option's name
    card: ModelCard
    num_classes: int
    costs: Costs
    measured: Measured | None = None

    @property
    def as_published(self) -> bool:
        """Whether this is the network that was published, so that its published accuracy may stand beside it."""
        return self.num_classes == self.card.num_classes and not self.card.variant

    @property
    def counts_published(self) -> bool:
        """Whether somebody else's counts are known, so that ours may be compared with them."""
        return self.as_published and OWN_COUNT not in self.card.source

    @property
    def at_own_size(self) -> bool:
        """Whether multiply-adds were counted at the image size that the published numbers are for."""
        return self.costs.image_size_px == self.card.image_size_px

    @property
    def published_multiply_adds(self) -> float | None:
        return self.card.multiply_adds if self.counts_published and self.at_own_size else None

    @property
    def published_parameters(self) -> int | None:
        return self.card.parameters if self.counts_published else None

    @property
    def published_top1_percent(self) -> float | None:
        return self.card.top1_percent if self.as_published else None

    @property
    def accuracy_set(self) -> str:
        """The data set of the published accuracy."""
        return "ImageNet" if self.card.num_classes == 1000 else "CIFAR-10"


def summarise_model(
    label: str, model: ModelConfig, *, image_size_px: int | None = None, num_classes: int | None = None
) -> ModelSummary:
    """Count a model without allocating it; auxiliary classifiers are counted wherever the model can have them.

    Raises:
        UserError: for images too small for the model.
    """
    card = card_for(model)
    size, classes = image_size_px or card.image_size_px, num_classes or card.num_classes
    network = meta_network(replace(model, aux=card.has_aux), classes, size)
    return ModelSummary(label, card, classes, count_costs(network, size))


def as_record(summary: ModelSummary) -> dict:
    """The summary in JSON's types."""
    return {
        "model": summary.label,
        "num_classes": summary.num_classes,
        **asdict(summary.costs),
        "published": {
            "paper": list(summary.card.paper),
            "year": summary.card.year,
            "parameters": summary.published_parameters,
            "multiply_adds": summary.published_multiply_adds,
            "top1_percent": summary.published_top1_percent,
            "source": summary.card.source,
            "variant": list(summary.card.variant),
        },
        "measured": asdict(summary.measured) if summary.measured else None,
    }
