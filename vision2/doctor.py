"""Examine a run before it is started: the machine, the data, the network and the learning rate, in about half a minute.

    python -m vision2.doctor model=resnet20 dataset=digits
    python -m vision2.doctor model=resnet18 strategy=finetune dataset=folder dataset.root=PHOTOS
    python -m vision2.doctor fault=double_softmax format=json

Each check has passed, is a warning or has failed, and says what was seen, why it matters and what to do. The settings are
those of `vision2.train`; nothing is trained for good. Written: doctor.txt, doctor.json and, if images are trained on in
epochs, learning_rate.png. Exit code: 0 if no check failed, 1 if one did, 2 for a mistake in the command.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    from vision2.config.schema import Config

FORMATS = ("text", "markdown", "json")
EXAMINED = ("scratch", "finetune", "feature_extraction")
OPTIONS = {
    "format": Option("text", ", ".join(FORMATS)),
    "out": Option(None, "folder for the files; by default output_dir/doctor/DATASET-MODEL-STRATEGY"),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run)


def run(config: Config, options: dict) -> int:
    """Make all checks, print and write them; return 1 if one of them failed."""
    _refuse(config, options)
    from vision2.basics.atomic_write import write_json, write_text
    from vision2.basics.safe_text import printable
    from vision2.basics.written import WrittenFiles
    from vision2.checkup.rate import draw_range_test
    from vision2.checkup.text import as_page, failed, markdown, records
    from vision2.data.files.locations import data_name

    name = f"{data_name(config.dataset.name, config.dataset.root)}-{config.model.name}-{config.strategy.name}"
    folder = Path(options["out"] or Path(config.output_dir) / "doctor" / name).expanduser()
    files = WrittenFiles(folder, "doctor.txt", "doctor.json", "learning_rate.png")
    with redirect_stdout(sys.stderr):  # what preparing prints is not part of the answer
        findings, rates, lr = examine(config)
    write_text(files.path("doctor.txt"), as_page(findings) + "\n")
    write_json(files.path("doctor.json"), {"fault": config.fault, "checks": records(findings)})
    if rates is not None:
        draw_range_test(rates, lr, files.path("learning_rate.png"))
    if options["format"] == "json":
        print(json.dumps(records(findings), indent=2))
    else:
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(markdown(findings) if options["format"] == "markdown" else as_page(findings, coloured=coloured))
    print(f"written: {printable(str(folder))}", file=sys.stderr)
    return int(failed(findings))


def _refuse(config: Config, options: dict) -> None:
    if options["format"] not in FORMATS:
        raise UserError(f"format is '{options['format']}'; it must be one of {', '.join(FORMATS)}")
    if config.strategy.name not in EXAMINED or config.dataset.split_by == "class":
        raise UserError(
            "doctor examines networks with a head for the classes of the training images; use"
            f" {' or '.join(f'strategy={name}' for name in EXAMINED)} without dataset.split_by=class"
        )
    if config.mode == "eval" or config.resume:
        raise UserError("doctor examines a run before it starts; leave out mode=eval and resume")


def examine(config: Config) -> tuple[list, object, float]:
    """The findings, the range test (None if the rate is not tested) and the learning rate that would be used."""
    from vision2.checkup.environment import check_environment
    from vision2.checkup.everything import check_fit, check_task
    from vision2.data.files.locations import cache_root
    from vision2.faults.fits import start_fit
    from vision2.preparation import prepare
    from vision2.strategies import STRATEGIES
    from vision2.training.epochs import fit_on_images

    prepared, rules = prepare(config), STRATEGIES[config.strategy.name].rules
    # stored outputs of frozen stages would leave most of the network out of the examination
    whole = SimpleNamespace(rules=rules, start=lambda task: fit_on_images(task, rules(task.strategy, task.network.stages)))
    fit = start_fit(config.fault, whole, prepared.task)
    places = {"output_dir": Path(config.output_dir), "cache_dir": Path(cache_root(config.dataset.cache_dir))}
    findings = check_environment(device=prepared.task.device, precision=fit.precision, **places)
    findings += check_task(prepared.task)
    new_head = prepared.weights is None or prepared.weights.head_is_new
    of_fit, rates = check_fit(prepared.task, fit, new_head=new_head)
    return [*findings, *of_fit], rates, fit.learner.strategy.lr


if __name__ == "__main__":
    sys.exit(main())
