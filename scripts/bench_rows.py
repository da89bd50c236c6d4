"""The rows of the speed table: printed when they are measured, collected for the README."""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path
from typing import NamedTuple

ROWS_FILE = "VISION2_BENCH_ROWS"  # the file to which the scripts of one `make bench` append their rows


class Row(NamedTuple):
    what: str
    value: str
    target: str


def say(what: str, value: str, target: str = "") -> None:
    """Print a row, and keep it if `bench.py` collects them."""
    print(f"{what:100} {value:>22}   {target}", flush=True)
    if path := os.environ.get(ROWS_FILE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(Row(what, value, target)) + "\n")


def spread(values: list[float]) -> str:
    """Median (minimum to maximum), n."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}), n = {len(values)}"


def read_rows(path: Path) -> list[Row]:
    return [Row(*json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
