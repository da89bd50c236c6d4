"""A report as data: sections of text, tables and pictures, which the templates render as HTML and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Text(NamedTuple):
    """A paragraph; `quiet` if it only explains how to read the blocks around it."""

    text: str
    quiet: bool = False
    kind = "text"


class Banner(NamedTuple):
    """A verdict (supported, contradicted or inconclusive, which sets the colour), its translated word and its sentence."""

    verdict: str
    word: str
    text: str
    kind = "banner"


class Table(NamedTuple):
    """A table; on a phone, each row is a card. If `fold` is set, the table is collapsed under that label."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    fold: str = ""
    kind = "table"


class Picture(NamedTuple):
    """A PNG file in the report's folder.

    `caption` is shown below it; if `quiet`, the picture already says the same, and the caption is only its alternative
    text. A grid of equal cells is cut into pieces of `cell` (width, height) pixels, so that it can wrap.
    """

    path: Path
    caption: str
    quiet: bool = False
    cell: tuple[int, int] | None = None


class Gallery(NamedTuple):
    """Pictures, side by side if the page is wide enough."""

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
        """Add a section with the blocks that have content; add nothing if all of them are quiet text."""
        shown = [block for block in blocks if block and not _empty(block)]
        if any(not (isinstance(block, Text) and block.quiet) for block in shown):
            self.sections.append(Section(title, shown))


def _empty(block: Block) -> bool:
    return (isinstance(block, Table) and not block.rows) or (isinstance(block, Gallery) and not block.pictures)
