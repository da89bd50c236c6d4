"""The lecture's arithmetic for convolutions: the formula, its result, and the count on the real module.

    python -m vision2.cost                        the lecture's Inception block: 28x28x100
    python -m vision2.cost size=14 channels=512 filters_1x1=192 filters_3x3=208 filters_5x5=48 reduce=96

Each product in a convolution is one multiplication; biases, norms and pooling are not counted (FlopCounterMode / 2).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import fields

from vision2.basics.errors import UserError
from vision2.config.command import Option, run_command
from vision2.profiling.arithmetic import Setting, lessons

FORMATS = ("text", "markdown", "json")
OPTIONS = {
    **{field.name: Option(field.default, field.metadata["help"], int) for field in fields(Setting)},
    "format": Option("text", ", ".join(FORMATS)),
    "out": Option(None, "a folder for cost.md and cost.json"),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=False)


def run(options: dict) -> None:
    """Print the lessons; write them to `out` if it is given."""
    if options["format"] not in FORMATS:
        raise UserError(f"format is '{options['format']}'; it must be one of {', '.join(FORMATS)}")
    given = Setting(**{field.name: options[field.name] for field in fields(Setting)}).checked()
    from vision2.basics.atomic_write import write_json, write_text
    from vision2.basics.written import WrittenFiles
    from vision2.profiling.cost_lesson import as_record, page

    found = lessons(given)
    if options["format"] == "json":
        print(json.dumps(as_record(found, given), indent=2))
    else:
        print(page(found, given, markdown=options["format"] == "markdown"))
    if options["out"]:
        files = WrittenFiles(options["out"], "cost.md", "cost.json")
        write_text(files.path("cost.md"), page(found, given, markdown=True) + "\n")
        write_json(files.path("cost.json"), as_record(found, given))
        print(f"written: {files.folder / 'cost.md'}, cost.json", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
