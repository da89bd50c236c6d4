"""A report as data: sections of text, tables and pictures, which the templates turn into HTML and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True)
class Text:
    """A paragraph; `quiet` for how to read what it accompanies."""

    kind: ClassVar = "text"
    text: str
    quiet: bool = False


@dataclass(frozen=True)
class Banner:
    """The verdict (supported, contradicted, inconclusive), which chooses the colour, its word and its sentence."""

    kind: ClassVar = "banner"
    verdict: str
    word: str
    text: str


@dataclass(frozen=True)
class Table:
    kind: ClassVar = "table"
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A PNG file in the report's folder; `wide` takes the whole line, and scrolls where that is too narrow to read."""

    path: Path
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side where the page is wide enough."""

    kind: ClassVar = "gallery"
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Verbatim:
    kind: ClassVar = "verbatim"
    text: str


Block = Text | Banner | Table | Gallery | Verbatim


@dataclass(frozen=True)
class Section:
    title: str
    blocks: Sequence[Block]


@dataclass
class Document:
    title: str
    subtitle: str
    language: str
    sections: list[Section] = field(default_factory=list)

    def add(self, title: str, *blocks: Block | None) -> None:
        """Add a section of the blocks that have content; no section when nothing but quiet text has."""
        shown = [block for block in blocks if block is not None and not _empty(block)]
        if any(not (isinstance(block, Text) and block.quiet) for block in shown):
            self.sections.append(Section(title, shown))


def _empty(block: Block) -> bool:
    return (isinstance(block, Table) and not block.rows) or (isinstance(block, Gallery) and not block.pictures)
