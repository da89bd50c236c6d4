"""Render pages from the templates in this folder: Markdown, and self-contained HTML without scripts or external links."""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from vision2.basics.safe_text import printable_lines
from vision2.basics.text_table import as_markdown

if TYPE_CHECKING:
    from PIL.Image import Image


def render(template: str, **values: object) -> str:
    """Render `templates/<template>` with these values, which are escaped in .html pages."""
    return _templates().get_template(template).render(values)


def data_uri(data: bytes | Path, kind: str = "png") -> str:
    """A picture (its bytes or its file) as a data URI."""
    data = data.read_bytes() if isinstance(data, Path) else data
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def pieces(picture: Path, cell: tuple[int, int] | None) -> list[str]:
    """A picture as data URIs of its non-empty cells, row by row, or of the whole if it does not divide into such cells."""
    if cell is None:
        return [data_uri(picture)]
    from PIL import Image as images

    with images.open(picture) as opened:
        whole = opened.convert("RGB")
    width, height = min(cell[0], whole.width), cell[1]
    if whole.width % width or whole.height % height:
        return [data_uri(picture)]
    corners = [(x, y) for y in range(0, whole.height, height) for x in range(0, whole.width, width)]
    cut = [whole.crop((x, y, x + width, y + height)) for x, y in corners]
    return [_png_uri(piece) for piece in cut if piece.getextrema() != ((255, 255),) * 3]


def _without_control_characters(value: object) -> object:
    """What a template prints: names of files and classes are escaped, parts that are already rendered stay unchanged."""
    return printable_lines(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _png_uri(picture: Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return data_uri(stream.getvalue())


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        finalize=_without_control_characters,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"data_uri": data_uri, "pieces": pieces, "markdown_table": as_markdown}
    return templates
