"""One model in numbers: its stages, its totals beside what was published, and several models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from vision2.models.build import meta_network
from vision2.models.cards import ModelCard, card_for
from vision2.models.settings import ModelConfig
from vision2.profiling.count import Costs, count_costs

# The lecture's tables, as it prints them (ResNet: "FLOPs" of multiply-adds).
SLIDES = {
    "googlenet": "69.8 %, 1550 M, 6.8 M",
    "mobilenet_v1": "70.6 %, 569 M, 4.2 M",
    "vgg16": "71.5 %, 15300 M, 138 M",
    "inception_v3": "25 M parameters",
    "inception_v4": "43 M parameters",
    "resnet18": "1.8 G",
    "resnet34": "3.6 G",
    "resnet50": "3.8 G",
    "resnet101": "7.6 G",
    "resnet152": "11.3 G",
}
SLIDES_NOTE = (
    "slides: top-1, multiply-adds, parameters as the lecture prints them (its ResNet-50 and deeper have the stride in the"
    " first 1x1 convolution, ours and torchvision's have it in the 3x3)"
)
OWN_COUNT = "our own count"  # in the source of card that nobody else published


@dataclass(frozen=True)
class Measured:
    """Images a second (median pass) and peak memory in 10^6 bytes: on CUDA what was allocated, else the growth of the
    process since before the network was built."""

    device: str
    batch_size: int
    precision: str  # of training
    inference_images_per_second: float
    inference_memory_mb: float
    training_images_per_second: float
    training_memory_mb: float

    def cells(self) -> list[str]:
        speeds = (self.inference_images_per_second, self.training_images_per_second)
        memory = (self.inference_memory_mb, self.training_memory_mb)
        return [
            *(f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}" for speed in speeds),
            *(f"{mb:,.0f}" for mb in memory),
        ]


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
        """Whether multiply-adds were counted at the image size that the published figures are for."""
        return self.costs.image_size_px == self.card.image_size_px

    @property
    def published_multiply_adds(self) -> float | None:
        return self.card.multiply_adds if self.counts_published and self.at_own_size else None

    @property
    def published_parameters(self) -> int | None:
        return self.card.parameters if self.counts_published else None


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


def heading(summary: ModelSummary) -> str:
    """What the model is: paper, library, size, what makes it differ from what was published."""
    card, (title, arxiv) = summary.card, summary.card.paper
    number = f"arXiv {arxiv}, " if arxiv else ""
    paper = f'"{title}", {number}{card.year}' if title else "no paper kept here"
    variant = f"; a variant: {', '.join(card.variant)}" if card.variant else ""
    note = f"\n{card.note}" if card.note else ""
    return (
        f"{summary.label}: {paper}; network: {card.library}{variant}{note}\n"
        f"input 3x{summary.costs.image_size_px}x{summary.costs.image_size_px}, {summary.num_classes} classes;"
        f" {summary.costs.convention}; activations: outputs of all layers, float32"
    )


def stage_table(summary: ModelSummary) -> tuple[list[str], list[list[str]]]:
    """A row for each stage, their total, and the auxiliary classifiers where there are any."""
    costs = summary.costs
    headings = ["stage", "output", "parameters", "multiply-adds", "activations", "receptive field"]
    rows = [
        [
            stage.stage,
            "x".join(map(str, stage.output_shape)),
            f"{stage.parameters:,}",
            f"{stage.multiply_adds:,}",
            megabytes(stage.activation_bytes),
            "-" if stage.receptive_field_px is None else f"{stage.receptive_field_px} px",
        ]
        for stage in costs.stages
    ]
    rows.append(
        ["total", "", f"{costs.parameters:,}", f"{costs.multiply_adds:,}", megabytes(costs.activation_bytes), ""]
    )
    if costs.parameters_aux > costs.parameters:
        more = (costs.parameters_aux - costs.parameters, costs.multiply_adds_aux - costs.multiply_adds)
        rows.append(["+ aux (training only)", "", *(f"{number:,}" for number in more), "-", ""])
        with_aux = (costs.parameters_aux, costs.multiply_adds_aux)
        rows.append(["total with aux", "", *(f"{number:,}" for number in with_aux), "-", ""])
    return headings, rows


def totals_table(summary: ModelSummary) -> tuple[list[str], list[list[str]]]:
    """Totals beside the published values, with the difference."""
    costs, card = summary.costs, summary.card
    parameters, multiply_adds = summary.published_parameters, summary.published_multiply_adds
    rows = [
        ["parameters", f"{costs.parameters:,}", _or_dash(parameters), exact_difference(costs.parameters, parameters)]
    ]
    if costs.parameters_aux > costs.parameters:
        published = card.parameters_aux if summary.counts_published else None
        difference = exact_difference(costs.parameters_aux, published)
        rows.append(["parameters with aux", f"{costs.parameters_aux:,}", _or_dash(published), difference])
    counted = giga(costs.multiply_adds)
    difference = relative_difference(costs.multiply_adds, multiply_adds)
    rows.append(["multiply-adds", counted, "-" if multiply_adds is None else giga(multiply_adds), difference])
    if card.top1_percent is not None and summary.as_published:
        rows.append([f"top-1 accuracy ({accuracy_set(card)})", "not measured here", f"{card.top1_percent:g} %", ""])
    return ["total", "here", "published", "difference"], rows


def comparison_table(summaries: Sequence[ModelSummary]) -> tuple[list[str], list[list[str]]]:
    """The lecture's table: a model a row, counted and published numbers, accuracy, and speed where it was measured."""
    measured = any(summary.measured for summary in summaries)
    headings = ["model", "year", "input", "parameters", "published", "multiply-adds", "published", "difference"]
    headings += ["top-1", "slides", *(MEASURED_HEADINGS if measured else ())]
    return headings, [_comparison_row(summary, measured) for summary in summaries]


MEASURED_HEADINGS = ("inference img/s", "training img/s", "inference MB", "training MB")


def _comparison_row(summary: ModelSummary, measured: bool) -> list[str]:
    costs, card = summary.costs, summary.card
    parameters, multiply_adds = summary.published_parameters, summary.published_multiply_adds
    top1 = card.top1_percent if summary.as_published else None
    row = [
        summary.label,
        str(card.year or "-"),
        f"{costs.image_size_px}",
        f"{costs.parameters:,}",
        "-" if parameters is None else "equal" if parameters == costs.parameters else f"{parameters:,}",
        giga(costs.multiply_adds),
        "-" if multiply_adds is None else giga(multiply_adds),
        relative_difference(costs.multiply_adds, multiply_adds),
        "-" if top1 is None else f"{top1:.1f} %" + ("" if summary.num_classes == 1000 else " (CIFAR-10)"),
        SLIDES.get(summary.label, "-"),
    ]
    return row + (summary.measured.cells() if summary.measured else ["-"] * 4 if measured else [])


def accuracy_set(card: ModelCard) -> str:
    return "ImageNet" if card.num_classes == 1000 else "CIFAR-10"


def as_record(summary: ModelSummary) -> dict:
    """The summary in JSON's types."""
    card = {
        "paper": list(summary.card.paper),
        "year": summary.card.year,
        "parameters": summary.published_parameters,
        "multiply_adds": summary.published_multiply_adds,
        "top1_percent": summary.card.top1_percent if summary.as_published else None,
        "source": summary.card.source,
        "variant": list(summary.card.variant),
    }
    measured = asdict(summary.measured) if summary.measured else None
    return {
        "model": summary.label,
        "num_classes": summary.num_classes,
        **asdict(summary.costs),
        "published": card,
        "measured": measured,
    }


def giga(number: float) -> str:
    """1,814,000,000 -> 1.814 G; below 0.1 G in millions, as the CIFAR nets are known by."""
    return f"{number / 1e9:.3f} G" if number >= 1e8 else f"{number / 1e6:.2f} M"


def megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


def exact_difference(here: int, published: int | None) -> str:
    return "" if published is None else "0" if here == published else f"{here - published:+,}"


def relative_difference(here: float, published: float | None) -> str:
    return "" if published is None else f"{100 * (here / published - 1):+.2f} %"


def _or_dash(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
