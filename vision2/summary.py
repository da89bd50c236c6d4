"""What a model is made of and what it costs, beside what was published.

    python -m vision2.summary model=resnet18                       stages, totals, speed and memory on this device
    python -m vision2.summary model=alexnet,vgg16,resnet50         the lecture's table, and accuracy against cost
    python -m vision2.summary model=all measure=false format=markdown
    python -m vision2.summary model=googlenet model.aux=true graph=true out=FOLDER

Sizes are each model's own; dataset.image_size_px=..., dataset=cifar10, model.stem=small and the like change them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    from vision2.config.schema import Config
    from vision2.profiling.model_summary import ModelSummary

FORMATS = ("text", "markdown", "json")
OPTIONS = {
    "measure": Option(
        True, "images/s and peak memory on this device (device, train.batch_size, train.precision)", bool
    ),
    "num_classes": Option(None, "outputs of the head; None: as published (1000, CIFAR nets 10)", int),
    "graph": Option(False, "write the TensorBoard graph of each model", bool),
    "format": Option("text", ", ".join(FORMATS)),
    "out": Option(None, "a folder for summary.md, summary.json, pictures; None: output_dir/summary when there are any"),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=configurations)


def configurations(words: Sequence[str]) -> dict[str, Config]:
    """A configuration for each name in `model=a,b,c`, or in `model=all`.

    Raises:
        UserError: with every problem of every model.
    """
    from vision2.config.compose import load_without_data

    rest = [word for word in words if word.partition("=")[0] not in ("model", "models")]
    configs, problems = {}, {}
    for name in _names([word for word in words if word not in rest]):
        try:
            configs[name] = load_without_data([f"model={name}", *rest])
        except UserError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise UserError(*problems)
    return configs


def _names(words: Sequence[str]) -> list[str]:
    from vision2.config.location import options
    from vision2.models.cards import card_for
    from vision2.models.settings import ModelConfig

    names = [name.strip() for word in words for name in word.partition("=")[2].split(",") if name.strip()]
    if not names:
        raise UserError("which model? type model=resnet18, several as model=alexnet,resnet50, or model=all")
    if names != ["all"]:
        return list(dict.fromkeys(names))
    published = [name for name in options("model") if _is_published(name)]

    def by_year(name: str) -> tuple:
        card = card_for(ModelConfig(name))
        return (card.num_classes != 1000, card.year, card.family, card.parameters)

    return sorted(published, key=by_year)


def _is_published(name: str) -> bool:
    """Options that are a model as published; those for 32 px and the like are variants of one."""
    from vision2.models.cards import catalogue

    return name in catalogue()


def run(configs: dict[str, Config], options: dict) -> None:
    """Count, measure, print; write what was asked for."""
    if options["format"] not in FORMATS:
        raise UserError(f"format is '{options['format']}', it must be one of {', '.join(FORMATS)}")
    if options["num_classes"] is not None and options["num_classes"] < 1:
        raise UserError(f"num_classes is {options['num_classes']}, it must be 1 or more")
    import json

    from vision2.profiling.model_summary import as_record

    summaries = [_summary(name, config, options) for name, config in configs.items()]
    records = [as_record(summary) for summary in summaries]
    as_json = json.dumps(records if len(records) > 1 else records[0], indent=2, ensure_ascii=False)
    print(as_json if options["format"] == "json" else page(summaries, markdown=options["format"] == "markdown"))
    if len(summaries) > 1 or options["graph"] or options["out"]:
        config = next(iter(configs.values()))
        _write(Path(options["out"] or Path(config.output_dir) / "summary"), configs, summaries, options)


def _summary(name: str, config: Config, options: dict) -> ModelSummary:
    from vision2.profiling.model_summary import summarise_model

    name = config.model.name if name == "timm" else name
    size, classes = config.dataset.image_size_px, options["num_classes"]
    summary = summarise_model(name, config.model, image_size_px=size, num_classes=classes)
    if not options["measure"]:
        return summary
    from vision2.profiling.speed import Probe, default_batch, measure, training_precision
    from vision2.training.precision import choose_device

    print(f"measuring {name} ...", file=sys.stderr, flush=True)
    device, size = choose_device(config.device), summary.costs.image_size_px
    batch = config.train.batch_size or default_batch(size, device)
    precision = training_precision(config.train.precision, device)
    probe = Probe(config.model, summary.num_classes, size, batch, str(device), precision)
    return replace(summary, measured=measure(probe))


def page(summaries: Sequence[ModelSummary], *, markdown: bool) -> str:
    """One model in detail, or several side by side."""
    from vision2.profiling import model_summary as numbers
    from vision2.runs.table import as_markdown, as_text

    draw = as_markdown if markdown else as_text
    if len(summaries) == 1:
        (summary,) = summaries
        parts = [numbers.heading(summary), draw(*numbers.stage_table(summary)), draw(*numbers.totals_table(summary))]
        parts.append(f"source of the published numbers: {summary.card.source or 'none for this variant'}")
        return "\n\n".join([part.rstrip() for part in parts] + _measured(summaries))
    notes = [f"{summaries[0].costs.convention}; published numbers: model cards and papers (see each option)."]
    table = draw(*numbers.comparison_table(summaries)).rstrip()
    return "\n\n".join([table, f"Multiply-adds: {notes[0]} {numbers.SLIDES_NOTE}.", *_measured(summaries)])


def _measured(summaries: Sequence[ModelSummary]) -> list[str]:
    """How the speeds were measured, and for one model the speeds."""
    from vision2.runs.environment import processor_name, usable_cpus

    found = [summary.measured for summary in summaries if summary.measured]
    if not found:
        return []
    first = found[0]
    device = f"{processor_name()}, {usable_cpus()} cores" if first.device == "cpu" else first.device
    batches = ", ".join(sorted({str(measured.batch_size) for measured in found}, key=int))
    memory = "growth of the process" if first.device == "cpu" else "allocated"
    lines = [f"measured on {device}: batch {batches}, inference in float32, training in {first.precision}"]
    lines[0] += f" (one step: forward, backward, SGD); peak memory: {memory}"
    if len(summaries) == 1:
        inference, training, inference_mb, training_mb = first.cells()
        lines.append(f"  inference  {inference:>9} images/s  {inference_mb:>8} MB")
        lines.append(f"  training   {training:>9} images/s  {training_mb:>8} MB")
    return ["\n".join(lines)]


def _write(folder: Path, configs: dict[str, Config], summaries: Sequence[ModelSummary], options: dict) -> None:
    """summary.md, summary.json, the picture of several models and their graphs, for people and for TensorBoard."""
    from vision2.basics.atomic_write import write_json, write_text
    from vision2.pictures.images import save_figure
    from vision2.profiling.accuracy_cost import accuracy_against_cost
    from vision2.profiling.model_summary import as_record

    write_text(folder / "summary.md", page(summaries, markdown=True) + "\n")
    write_json(folder / "summary.json", [as_record(summary) for summary in summaries])
    written = [folder / "summary.md", "summary.json"]
    figure = accuracy_against_cost(summaries) if len(summaries) > 1 else None
    if figure is not None:
        save_figure(figure, folder / "accuracy_cost.png")
        written.append("accuracy_cost.png")
    if figure is not None or options["graph"]:
        from vision2.profiling.model_graph import write_tensorboard

        graphs = (
            {s.label: c.model for s, c in zip(summaries, configs.values(), strict=True)} if options["graph"] else {}
        )
        picture = folder / "accuracy_cost.png" if figure is not None else None
        write_tensorboard(folder, picture, graphs, {s.label: s.costs.image_size_px for s in summaries})
        written.append("TensorBoard events")
    print(f"written: {', '.join(map(str, written))}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
