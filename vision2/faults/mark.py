"""Mark a run with a fault in the terminal: in red, at its start and at its end."""

from __future__ import annotations

import os
import sys

from vision2.faults.table import FAULTS

RED, PLAIN = "\033[1;31m", "\033[0m"


def marked(fault: str) -> str:
    """The sentence that marks the run."""
    return f"FAULT ON PURPOSE, fault={fault}: {FAULTS[fault].what}. These results are wrong by design."


def announce(fault: str | None) -> None:
    """Print the mark, in red unless the output goes to a file or NO_COLOR (no-color.org) is set; nothing without a fault."""
    if fault is None:
        return
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(f"{RED}{marked(fault)}{PLAIN}" if coloured else marked(fault), flush=True)
