"""`vision2 COMMAND key=value ...`: exactly what `python -m vision2.COMMAND key=value ...` does."""

from __future__ import annotations

import runpy
import sys

from vision2.basics.errors import UserError
from vision2.commands import known_command, overview
from vision2.config.command import fail


def main() -> int:
    """Entry point of `vision2` and `python -m vision2`; without a command it lists them."""
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help", "help"):
        print(overview())
        return 0
    try:
        module = f"vision2.{known_command(name)}"
    except UserError as error:
        return fail(error)
    sys.argv[1:] = words
    runpy.run_module(module, run_name="__main__", alter_sys=True)  # ends with sys.exit
    return 0


if __name__ == "__main__":
    sys.exit(main())
