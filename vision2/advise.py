"""Recommend a transfer strategy for a data set: measure its size and similarity and apply the lecture's four cases.

    python -m vision2.advise dataset=plants model=mobilenet_v2
    python -m vision2.advise dataset=folder dataset.root=photos model=resnet18 check=true train.epochs=3

Similarity is how much better a linear probe does on pretrained features than on untrained ones, and whether late layers
do better than early ones. check=true trains the candidates on a small budget and reports whether the advice was right.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.config.command import Option, run_command

OPTIONS = {
    "sample": Option(1000, "number of training images to measure", int),
    "check": Option(False, "train the candidates (for train.epochs, by default 3) and compare them", bool),
}
DECIDED_HERE = ("strategy", "strategy.layer", "strategy.features")


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=list)


def run(overrides: list[str], options: dict) -> int:
    """Measure, advise and, with `check`, train the candidates; return 1 if one of them failed."""
    from vision2.config.compose import load_config

    taken = [override for override in overrides if override.partition("=")[0] in DECIDED_HERE]
    if taken:
        raise UserError(f"{taken[0].partition('=')[0]} is chosen by this command; leave '{taken[0]}' out")
    if options["sample"] < 20:
        raise UserError(f"sample is {options['sample']}; it must be at least 20")
    config = load_config([*overrides, "strategy=feature_extraction"])
    if config.dataset.split_by == "class":
        raise UserError(
            "the advice is for classes that are trained on; leave out dataset.split_by=class, or compare strategies on episodes"
            " with python -m vision2.train experiment=meta_learning"
        )
    from dataclasses import asdict

    from vision2.basics.atomic_write import write_json
    from vision2.basics.written import WrittenFiles
    from vision2.data.files.locations import data_name
    from vision2.features.advice import advise, as_text
    from vision2.features.evidence import measure_evidence
    from vision2.jobs.check_advice import check_advice
    from vision2.preparation import open_for_transfer
    from vision2.runs.records import plain

    name = f"{data_name(config.dataset.name, config.dataset.root)}-{config.model.name}.json"
    files = WrittenFiles(Path(config.output_dir).expanduser() / "advice", name)
    evidence = measure_evidence(
        *open_for_transfer(config),
        model=config.model,
        dataset=config.dataset,
        sample=options["sample"],
        seed=config.seed,
    )
    advice = advise(evidence)
    command = ["python", "-m", "vision2.train", *overrides, f"strategy={advice.strategy}", *advice.settings]
    print("\n" + as_text(evidence, advice, shlex.join(command)), flush=True)
    record = {"advice": asdict(advice), "evidence": asdict(evidence), "command": shlex.join(command)}
    failed = 0
    if options["check"]:
        record["check"] = check_advice(overrides, advice, evidence)
        failed = int(any(row["error"] for row in record["check"]["candidates"]))
    write_json(files.path(name), plain(record))
    print(f"written: {files.folder / name}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
