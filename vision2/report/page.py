"""Pages from the templates beside this file: self-contained HTML without scripts or addresses, and Markdown."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from vision2.basics.text_table import as_markdown


def render(template: str, **values: object) -> str:
    """The page `templates/<template>` with these values; everything in an .html page is escaped."""
    return _templates().get_template(template).render(values)


def data_uri(data: bytes | Path, kind: str = "png") -> str:
    """A picture (its bytes or its file) as an address that holds it."""
    data = data.read_bytes() if isinstance(data, Path) else data
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"data_uri": data_uri, "markdown_table": as_markdown}
    return templates
