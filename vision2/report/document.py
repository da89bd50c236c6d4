"""A report as data: sections of text, tables and pictures, which the templates turn into HTML and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Text(NamedTuple):
    """A paragraph; `quiet` for how to read what it accompanies."""

    text: str
    quiet: bool = False
    kind = "text"


class Banner(NamedTuple):
    """The verdict (supported, contradicted, inconclusive), which chooses the colour, its word and its sentence."""

    verdict: str
    word: str
    text: str
    kind = "banner"


class Table(NamedTuple):
    """On a phone each row is a card; with `fold`, a few words, the table is behind them until it is asked for."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    fold: str = ""
    kind = "table"


class Picture(NamedTuple):
    """A PNG file in the report's folder.

    `caption` is shown below it, or only read aloud where the picture says the same (`quiet`). A picture of equal cells
    wraps in pieces of `cell` (width, height) pixels.
    """

    path: Path
    caption: str
    quiet: bool = False
    cell: tuple[int, int] | None = None


class Gallery(NamedTuple):
    """Pictures side by side where the page is wide enough."""

    pictures: Sequence[Picture]
    kind = "gallery"


class Verbatim(NamedTuple):
    text: str
    kind = "verbatim"


Block = Text | Banner | Table | Gallery | Verbatim


class Section(NamedTuple):
    title: str
    blocks: Sequence[Block]


@dataclass
class Document:
    title: str
    subtitle: str
    language: str
    sections: list[Section] = field(default_factory=list)

    def add(self, title: str, *blocks: Block | None) -> None:
        """Add a section of the blocks that have content; no section when only quiet text has."""
        shown = [block for block in blocks if block and not _empty(block)]
        if any(not (isinstance(block, Text) and block.quiet) for block in shown):
            self.sections.append(Section(title, shown))


def _empty(block: Block) -> bool:
    return (isinstance(block, Table) and not block.rows) or (isinstance(block, Gallery) and not block.pictures)
