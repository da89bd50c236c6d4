"""Show what a model is made of and what it costs, next to the published numbers.

    python -m vision2.summary model=resnet18                       stages, totals, speed and memory on this device
    python -m vision2.summary model=alexnet,vgg16,resnet50         the lecture's table, and accuracy against cost
    python -m vision2.summary model=all measure=false format=markdown
    python -m vision2.summary model=googlenet model.aux=true graph=true out=FOLDER

Each model is shown at its own image size; dataset.image_size_px=..., dataset=cifar10 or model.stem=small change it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError, try_all
from vision2.basics.written import WrittenFiles
from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    from vision2.config.schema import Config
    from vision2.profiling.model_summary import ModelSummary

FORMATS = ("text", "markdown", "json")
FILES = ("summary.md", "summary.json", "accuracy_cost.png")
OPTIONS = {
    "measure": Option(True, "images/s and peak memory on this device (device, train.batch_size, train.precision)", bool),
    "num_classes": Option(None, "outputs of the head; None: as published (1000, CIFAR nets 10)", int),
    "graph": Option(False, "write the TensorBoard graph of each model", bool),
    "format": Option("text", ", ".join(FORMATS)),
    "out": Option(None, "a folder for summary.md, .json and plots; None: output_dir/summary, for several models or a graph"),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=configurations)


def configurations(overrides: Sequence[str]) -> dict[str, Config]:
    """A configuration for each name in `model=a,b,c`, or for all of `model=all`.

    Raises:
        UserError: with every problem of every model.
    """
    from vision2.config.compose import load_without_data

    chosen = [override for override in overrides if override.partition("=")[0] in ("model", "models")]
    rest = [override for override in overrides if override not in chosen]
    names = model_names(chosen)
    return dict(zip(names, try_all(lambda name: load_without_data([f"model={name}", *rest]), names), strict=True))


def model_names(overrides: Sequence[str]) -> list[str]:
    """The names in `model=a,b,c`; for `model=all`, all models in the catalogue, by data set and year."""
    names = [name.strip() for override in overrides for name in override.partition("=")[2].split(",") if name.strip()]
    if not names:
        raise UserError("which model? type model=resnet18, several as model=alexnet,resnet50, or model=all")
    if names != ["all"]:
        return list(dict.fromkeys(names))
    from vision2.config.location import options
    from vision2.models.cards import catalogue

    cards = [catalogue()[name] for name in options("model") if name in catalogue()]  # not the variants for 32 px
    cards.sort(key=lambda card: (card.num_classes != 1000, card.year, card.family, card.parameters))
    return [card.name for card in cards]


def run(configs: dict[str, Config], options: dict) -> None:
    """Count, measure, print, and write the requested files."""
    if options["format"] not in FORMATS:
        raise UserError(f"format is '{options['format']}'; it must be one of {', '.join(FORMATS)}")
    if options["num_classes"] is not None and options["num_classes"] < 1:
        raise UserError(f"num_classes is {options['num_classes']}; it must be 1 or more")
    from vision2.profiling.model_summary import as_record
    from vision2.profiling.summary_page import page, write_summaries

    writes = len(configs) > 1 or options["graph"] or options["out"]
    folder = Path(options["out"] or Path(next(iter(configs.values())).output_dir) / "summary")
    files = WrittenFiles(folder, *FILES) if writes else None
    summaries = [_summary(name, config, options) for name, config in configs.items()]
    if options["format"] == "json":
        records = [as_record(summary) for summary in summaries]
        print(json.dumps(records if len(records) > 1 else records[0], indent=2, ensure_ascii=False))
    else:
        print(page(summaries, markdown=options["format"] == "markdown"))
    if files:
        models = {summary.label: config.model for summary, config in zip(summaries, configs.values(), strict=True)}
        written = write_summaries(files, summaries, graphs=models if options["graph"] else {})
        print(f"written: {folder / ', '.join(written)}", file=sys.stderr)


def _summary(name: str, config: Config, options: dict) -> ModelSummary:
    from vision2.profiling.model_summary import summarise_model

    name, train, size = config.model.name if name == "timm" else name, config.train, config.dataset.image_size_px
    summary = summarise_model(name, config.model, image_size_px=size, num_classes=options["num_classes"])
    if not options["measure"]:
        return summary
    from vision2.profiling.speed import measure, workload_for

    print(f"measuring {name} ...", file=sys.stderr, flush=True)
    workload = workload_for(
        config.model,
        summary.num_classes,
        summary.costs.image_size_px,
        device=config.device,
        batch_size=train.batch_size,
        precision=train.precision,
    )
    return replace(summary, measured=measure(workload))


if __name__ == "__main__":
    sys.exit(main())
