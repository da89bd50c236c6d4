"""Format headings and rows of text as a table for a terminal, in Markdown or as CSV; control characters are escaped."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from vision2.basics.safe_text import printable


def as_text(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded for a terminal."""
    lines = [[printable(cell) for cell in line] for line in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def as_markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(printable(cell).replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def as_csv(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Numbers keep all their digits."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in (headings, *rows):
        writer.writerow([printable(cell) if isinstance(cell, str) else cell for cell in row])
    return stream.getvalue()
