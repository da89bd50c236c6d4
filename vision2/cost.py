"""The lecture's arithmetic of convolutions: formula, number computed and number counted on the real module.

    python -m vision2.cost                        the lecture's Inception block: 28x28x100
    python -m vision2.cost size=14 channels=512 filters_1x1=192 filters_3x3=208 filters_5x5=48 reduce=96

One multiplication for each product of a convolution; biases, norms and pooling are not counted (FlopCounterMode / 2).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, fields

from vision2.basics.errors import UserError
from vision2.config.command import Option, run_command
from vision2.profiling.arithmetic import Lesson, Setting, lessons

FORMATS = ("text", "markdown", "json")
HELP = {
    "size": "height and width of the input, in pixels",
    "channels": "channels of the input",
    "filters_1x1": "filters of the 1x1 branch",
    "filters_3x3": "filters of the 3x3 branch, and of the separable convolution",
    "filters_5x5": "filters of the 5x5 branch",
    "reduce": "channels after the 1x1 bottleneck before the 3x3 and the 5x5",
    "pool_filters": "filters of the 1x1 convolution after the pooling branch",
    "n": "kernel of the n x n that becomes 1 x n and n x 1",
}
OPTIONS = {
    **{field.name: Option(field.default, HELP[field.name], int) for field in fields(Setting)},
    "format": Option("text", ", ".join(FORMATS)),
    "out": Option(None, "a folder that cost.md and cost.json go to"),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=False)


def run(options: dict) -> None:
    """Print the lessons; write them to `out` when it is given."""
    if options["format"] not in FORMATS:
        raise UserError(f"format is '{options['format']}', it must be one of {', '.join(FORMATS)}")
    given = Setting(**{field.name: options[field.name] for field in fields(Setting)}).checked()
    import json

    from vision2.basics.atomic_write import write_json, write_text
    from vision2.basics.written import WrittenFiles
    from vision2.profiling.cost_lesson import as_record

    found = lessons(given)
    record = {"setting": asdict(given), "lessons": [as_record(lesson, given) for lesson in found]}
    if options["format"] == "json":
        print(json.dumps(record, indent=2))
    else:
        print(page(found, given, markdown=options["format"] == "markdown"))
    if options["out"]:
        files = WrittenFiles(options["out"], "cost.md", "cost.json")
        write_text(files.path("cost.md"), page(found, given, markdown=True) + "\n")
        write_json(files.path("cost.json"), record)
        print(f"written: {files.folder / 'cost.md'}, cost.json", file=sys.stderr)


def page(found: Sequence[Lesson], given: Setting, *, markdown: bool) -> str:
    """The lessons as text for a terminal or as Markdown."""
    heading = "## " if markdown else ""
    parts = [
        f"Multiplications of convolutions on a {given.size}x{given.size}x{given.channels} input"
        " (counted: FlopCounterMode / 2 on the module)"
    ]
    for number, lesson in enumerate(found, start=1):
        parts.append(f"{heading}{number}. {lesson.title}\n\n{_tables(lesson, given, markdown)}")
    return "\n\n".join(parts)


def _tables(lesson: Lesson, given: Setting, markdown: bool) -> str:
    from vision2.basics.text_table import as_markdown, as_text
    from vision2.profiling.cost_lesson import HEADINGS, design_rows, saving

    rows = []
    for design in (lesson.costly, lesson.cheaper):
        name = f"**{design.name}**" if markdown else f"[{design.name}]"
        rows += [[name, "", "", "", ""], *(row.cells(given) for row in design_rows(design, given))]
    table = as_markdown(HEADINGS, rows) if markdown else as_text(HEADINGS, rows)
    return f"{table.rstrip()}\n\n{saving(lesson, given)}"


if __name__ == "__main__":
    sys.exit(main())
