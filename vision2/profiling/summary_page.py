"""Model summaries, one in detail or several side by side, for the terminal, a folder and TensorBoard."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from vision2.basics.atomic_write import write_json, write_text
from vision2.basics.text_table import as_markdown, as_text
from vision2.basics.threads import usable_cpus
from vision2.basics.written import WrittenFiles
from vision2.models.build import build_model
from vision2.models.cards import card_for
from vision2.models.network import Probabilities
from vision2.models.settings import ModelConfig
from vision2.profiling.model_summary import ModelSummary, as_record
from vision2.runs.environment import processor_name

SLIDES_NOTE = (
    "slides: top-1, multiply-adds and parameters as printed in the lecture (its ResNet-50 and deeper have their stride in the"
    " first 1x1 convolution, ours and torchvision's in the 3x3)"
)
MEASURED_HEADINGS = ("inference img/s", "training img/s", "inference MB", "training MB")
Table = tuple[list[str], list[list[str]]]


def page(summaries: Sequence[ModelSummary], *, markdown: bool) -> str:
    """One model in detail, or several side by side."""
    draw, first = as_markdown if markdown else as_text, summaries[0]
    if len(summaries) == 1:
        parts = [heading(first), draw(*stage_table(first)), draw(*totals_table(first))]
        parts.append(f"source of the published numbers: {first.card.source or 'none for this variant'}")
    else:
        published = "published numbers are from model cards and papers (see each model's own summary)"
        parts = [draw(*comparison_table(summaries))]
        parts.append(f"Counted: {first.costs.convention}; {published}; {SLIDES_NOTE}.")
    return "\n\n".join([part.rstrip() for part in parts] + _measured(summaries))


def heading(summary: ModelSummary) -> str:
    """What the model is: paper, library, size, and how it differs from what was published."""
    card, (title, arxiv) = summary.card, summary.card.paper
    number = f"arXiv {arxiv}, " if arxiv else ""
    paper = f'"{title}", {number}{card.year}' if title else "no paper listed"
    variant = f"; a variant: {', '.join(card.variant)}" if card.variant else ""
    note = f"\n{card.note}" if card.note else ""
    return (
        f"{summary.label}: {paper}; implementation: {card.library}{variant}{note}\n"
        f"input 3x{summary.costs.image_size_px}x{summary.costs.image_size_px}, {summary.num_classes} classes;"
        f" {summary.costs.convention}; activations: outputs of all layers, float32"
    )


def stage_table(summary: ModelSummary) -> Table:
    """A row for each stage, their total, and the auxiliary classifiers if there are any."""
    costs = summary.costs
    rows = [
        [
            stage.stage,
            "x".join(map(str, stage.output_shape)),
            f"{stage.parameters:,}",
            f"{stage.multiply_adds:,}",
            _megabytes(stage.activation_bytes),
            "-" if stage.receptive_field_px is None else f"{stage.receptive_field_px} px",
        ]
        for stage in costs.stages
    ]
    total = [f"{costs.parameters:,}", f"{costs.multiply_adds:,}", _megabytes(costs.activation_bytes)]
    rows.append(["total", "", *total, ""])
    if costs.parameters_aux > costs.parameters:
        more = (costs.parameters_aux - costs.parameters, costs.multiply_adds_aux - costs.multiply_adds)
        rows.append(["+ aux (training only)", "", *(f"{number:,}" for number in more), "-", ""])
        rows.append(["total with aux", "", f"{costs.parameters_aux:,}", f"{costs.multiply_adds_aux:,}", "-", ""])
    return ["stage", "output", "parameters", "multiply-adds", "activations", "receptive field"], rows


def totals_table(summary: ModelSummary) -> Table:
    """Totals next to the published values, with the difference."""
    costs, card = summary.costs, summary.published

    def counted(name: str, here: int, published: int | None) -> list[str]:
        difference = "" if published is None else "0" if here == published else f"{here - published:+,}"
        return [name, f"{here:,}", "-" if published is None else f"{published:,}", difference]

    rows = [counted("parameters", costs.parameters, card.parameters)]
    if costs.parameters_aux > costs.parameters:
        rows.append(counted("parameters with aux", costs.parameters_aux, card.parameters_aux))
    rows.append(["multiply-adds", *_multiply_adds(summary)])
    if card.top1_percent is not None:
        rows.append([f"top-1 accuracy ({card.accuracy_set})", "not measured here", f"{card.top1_percent:g} %", ""])
    return ["total", "here", "published", "difference"], rows


def comparison_table(summaries: Sequence[ModelSummary]) -> Table:
    """The lecture's table, one model per row: counted and published numbers, accuracy, and speed if measured."""
    measured = any(summary.measured for summary in summaries)
    headings = ["model", "year", "input", "parameters", "published", "multiply-adds", "published", "difference"]
    headings += ["top-1", "slides", *(MEASURED_HEADINGS if measured else ())]
    return headings, [_comparison_row(summary, measured) for summary in summaries]


def _comparison_row(summary: ModelSummary, measured: bool) -> list[str]:
    here, published, top1 = summary.costs.parameters, summary.published.parameters, summary.published.top1_percent
    row = [
        summary.label,
        str(summary.card.year or "-"),
        f"{summary.costs.image_size_px}",
        f"{here:,}",
        "-" if published is None else "equal" if published == here else f"{published:,}",
        *_multiply_adds(summary),
        "-" if top1 is None else f"{top1:.1f} %" + ("" if summary.num_classes == 1000 else " (CIFAR-10)"),
        summary.card.slides or "-",
    ]
    return row + (summary.measured.cells() if summary.measured else ["-"] * 4 if measured else [])


def _multiply_adds(summary: ModelSummary) -> list[str]:
    """The count, the published value, and the relative difference."""
    here, published = summary.costs.multiply_adds, summary.published.multiply_adds
    if published is None:
        return [_giga(here), "-", ""]
    return [_giga(here), _giga(published), f"{100 * (here / published - 1):+.2f} %"]


def _giga(number: float) -> str:
    """1,814,000,000 -> 1.814 G; below 0.1 G in millions, as is usual for the CIFAR nets."""
    return f"{number / 1e9:.3f} G" if number >= 1e8 else f"{number / 1e6:.2f} M"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


def _measured(summaries: Sequence[ModelSummary]) -> list[str]:
    """How the speeds were measured and, for a single model, the speeds."""
    found = [summary.measured for summary in summaries if summary.measured]
    if not found:
        return []
    first = found[0]
    device = f"{processor_name()}, {usable_cpus()} cores" if first.device == "cpu" else first.device
    batches = ", ".join(sorted({str(measured.batch_size) for measured in found}, key=int))
    memory = "all live tensors, without the temporary memory of kernels" if first.device == "cpu" else "allocated"
    lines = [
        f"measured on {device}: batch {batches}, inference in float32, training in {first.precision}"
        f" (one step: forward, backward, SGD); peak memory: {memory}"
    ]
    if len(summaries) == 1:
        inference, training, inference_mb, training_mb = first.cells()
        lines.append(f"  inference  {inference:>9} images/s  {inference_mb:>8} MB")
        lines.append(f"  training   {training:>9} images/s  {training_mb:>8} MB")
    return ["\n".join(lines)]


def write_summaries(files: WrittenFiles, summaries: Sequence[ModelSummary], graphs: dict[str, ModelConfig]) -> list[str]:
    """Write summary.md, summary.json, a plot if there are several models, and TensorBoard's graph of each of `graphs`.

    Returns:
        The names of the files written.
    """
    from vision2.pictures.images import save_figure
    from vision2.profiling.accuracy_cost import accuracy_against_cost
    from vision2.runs.tensorboard import TensorBoardTracker

    write_text(files.path("summary.md"), page(summaries, markdown=True) + "\n")
    write_json(files.path("summary.json"), [as_record(summary) for summary in summaries])
    written, picture = ["summary.md", "summary.json"], files.folder / "accuracy_cost.png"
    figure = accuracy_against_cost(summaries) if len(summaries) > 1 else None
    if figure is not None:
        save_figure(figure, files.path(picture.name))
        written.append(picture.name)
        with TensorBoardTracker(files.folder) as tracker:
            tracker.log_png("accuracy against cost", picture)
    sizes = {summary.label: summary.costs.image_size_px for summary in summaries}
    for label, model in graphs.items():
        _write_graph(files.folder / label, model, sizes[label])
    return [*written, "TensorBoard events"] if figure is not None or graphs else written


def _write_graph(folder: Path, model: ModelConfig, image_size_px: int) -> None:
    """Write a model's graph as a TensorBoard run of its own, because only one graph per run is shown."""
    from vision2.runs.tensorboard import TensorBoardTracker

    network = build_model(replace(model, aux=False), card_for(model).num_classes, seed=0, image_size_px=image_size_px)
    images = torch.zeros(2, 3, image_size_px, image_size_px)
    with TensorBoardTracker(folder) as tracker, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # from torch's tracer, which makes the graph
        tracker.writer.add_graph(Probabilities(network), images)
