"""A document as one HTML file that needs nothing else, and as Markdown beside its pictures."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from vision2.report.document import Banner, Block, Document, Gallery, Table, Text, Verbatim
from vision2.runs.table import as_markdown

# Nothing may be fetched and nothing may run, whatever a class name or a message of a run contains.
LONG_CELL = 34  # characters; longer cells may wrap
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def to_html(document: Document) -> str:
    """One self-contained page: styles inline, pictures as data, no script, no address."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    links = "".join(
        f'<a href="#s{number}">{escape(section.title)}</a>' for number, section in enumerate(document.sections, start=1)
    )
    body = "\n".join(
        f'<section id="s{number}"><h2>{escape(section.title)}</h2>\n{"".join(map(_html, section.blocks))}</section>'
        for number, section in enumerate(document.sections, start=1)
    )
    return f"""<!DOCTYPE html>
<html lang="{escape(document.language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>{escape(document.title)}</title>
<style>
{style}</style>
</head>
<body>
<header><h1>{escape(document.title)}</h1><p>{escape(document.subtitle)}</p><nav>{links}</nav></header>
<main>
{body}
</main>
</body>
</html>
"""


def _html(block: Block) -> str:
    if isinstance(block, Text):
        return f"<p{' class=quiet' if block.quiet else ''}>{escape(block.text)}</p>\n"
    if isinstance(block, Banner):
        words = f"<strong>{escape(block.word)}</strong><span>{escape(block.text)}</span>"
        return f'<div class="banner {block.kind}">{words}</div>\n'
    if isinstance(block, Table):
        return _html_table(block)
    if isinstance(block, Gallery):
        return f'<div class="gallery">{"".join(_html_picture(picture) for picture in block.pictures)}</div>\n'
    return f"<pre>{escape(block.text)}</pre>\n"


def _html_table(table: Table) -> str:
    heads = "".join(f"<th>{escape(heading)}</th>" for heading in table.headings)
    rows = "".join("<tr>" + "".join(map(_html_cell, row)) + "</tr>\n" for row in table.rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n'


def _html_cell(cell: str) -> str:
    return f"<td{' class=long' if len(cell) > LONG_CELL else ''}>{escape(cell)}</td>"


def _html_picture(picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode("ascii")
    caption, wide = escape(picture.caption, quote=True), " class=wide" if picture.wide else ""
    image = f'<img src="data:image/png;base64,{data}" alt="{caption}">'
    return f"<figure{wide}>{image}<figcaption>{caption}</figcaption></figure>\n"


def to_markdown(document: Document) -> str:
    """The same content; pictures are links to the files beside it."""
    parts = [f"# {document.title}", document.subtitle]
    for section in document.sections:
        parts.append(f"## {section.title}")
        parts += [_markdown(block) for block in section.blocks]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Text):
        return block.text
    if isinstance(block, Banner):
        return f"**{block.word}**: {block.text}"
    if isinstance(block, Table):
        return as_markdown(block.headings, block.rows)
    if isinstance(block, Gallery):
        return "\n\n".join(f"![{picture.caption}]({picture.path.name})" for picture in block.pictures)
    assert isinstance(block, Verbatim)
    return f"```text\n{block.text}\n```"
