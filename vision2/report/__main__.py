"""Make a report page from any folder of runs: claim and verdict, tables with intervals, curves, mistakes, commands.

  python -m vision2.report outputs/cifar10          every run below this folder
  python -m vision2.report outputs/sweeps/<sweep>   the runs of one sweep
  python -m vision2.report <folder> report.language=es

Writes to <folder>/report/: report.html (one self-contained file), report.md, table.csv, table.md and PNG figures.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vision2.basics.errors import UserError
from vision2.config.command import Option, run_command

OPTIONS = {
    "folder": Option("", "folder of runs; 'folder=' may be omitted"),
    "report.language": Option("en", "language of the page: en or es"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m vision2.report <folder> [report.language=es]`."""
    words = list(sys.argv[1:] if argv is None else argv)
    first = next((word for word in words if "=" not in word and not word.startswith("-")), None)
    words = [f"folder={word}" if word is first else word for word in words]
    return run_command(words, doc=__doc__, options=OPTIONS, run=_run, composes=False)


def _run(options: dict) -> int:
    if not options["folder"]:
        raise UserError("no folder of runs was given; type python -m vision2.report <folder>")
    from vision2.report.build import write_report

    print(write_report(options["folder"], language=options["report.language"]).text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
