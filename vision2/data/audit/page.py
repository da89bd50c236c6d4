"""An audit as one self-contained page: no script, no address, thumbnails inside."""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from vision2.data.audit.findings import Audit
from vision2.data.audit.inspection import BAD_KINDS, KINDS
from vision2.data.audit.text import headline, verdicts
from vision2.data.files.decode import BadImage, decode_entry

THUMBNAIL_PX = 112
SHOWN = 24  # files a kind and groups a list; the rest is in the JSON
SHOWN_OF_GROUP = 6

STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6573; --line: #d9dee5; --paper: #fff; --card: #f5f7f9;
        --bar: #3b76b4; --warn: #a33a18; --ok: #226b3a }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --line: #39424f; --paper: #14181d;
        --card: #1d232b; --bar: #6aa5e0; --warn: #f0906a; --ok: #74c68f } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 66rem;
       margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
h2 span, .soft { color: var(--soft); font-weight: normal }
ul.verdicts { list-style: none; padding: 0 } ul.verdicts li { padding: .35rem .8rem; margin: .3rem 0;
       background: var(--card); border-left: 4px solid var(--soft) }
ul.verdicts .warning { border-color: var(--warn) } ul.verdicts .ok { border-color: var(--ok) }
.scroll { overflow-x: auto } table { border-collapse: collapse } td, th { padding: .2rem .9rem .2rem 0; text-align: right;
       border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums }
td:first-child, th:first-child { text-align: left }
.bar { display: inline-block; height: .8rem; background: var(--bar) } td.bars { width: 20rem; text-align: left }
.shelf { display: flex; flex-wrap: wrap; gap: .8rem } figure { margin: 0; width: 9rem; font-size: .75rem;
       overflow-wrap: anywhere } figure img, .none { width: 7rem; height: 7rem; object-fit: contain; background: var(--card);
       display: block } .none { display: grid; place-items: center; color: var(--soft) }
.group { border: 1px solid var(--line); border-radius: 6px; padding: .6rem; margin: .6rem 0 }
.tag { color: var(--warn); font-size: .85rem; margin: 0 0 .4rem }
"""


def page(audit: Audit) -> str:
    """The audit as HTML."""
    findings = audit.findings
    shelf = _Shelf(audit)
    said = "".join(f'<li class="{level}">{escape(sentence)}</li>' for level, sentence in verdicts(findings))
    sections = [
        f'<h1>Audit of {escape(headline(findings))}</h1><p class="soft">{escape(str(findings["root"] or ""))}, '
        f'split of seed {findings["seed_of_split"]}</p><ul class="verdicts">{said}</ul>',
        _counts(findings),
        _sizes(findings),
        *(shelf.duplicates(name, findings[f"{name}_duplicates"]) for name in ("exact", "near")),
        *(shelf.kind(kind, title, findings["kinds"][kind]) for kind, title in KINDS.items()),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Audit of {escape(findings['dataset'])}</title><style>{STYLE}</style></head><body>"
        + "\n".join(sections)
        + "</body></html>\n"
    )


def _counts(findings: dict) -> str:
    counts = findings["counts"]
    head = "".join(f"<th>{escape(part)}</th>" for part in counts)
    rows = "".join(
        f"<tr><td>{escape(name)}</td>" + "".join(f"<td>{part[name]:,}</td>" for part in counts.values()) + "</tr>"
        for name in findings["classes"]
    )
    total = "".join(f"<th>{sum(part.values()):,}</th>" for part in counts.values())
    table = f"<table><tr><th>class</th>{head}</tr>{rows}<tr><th>all</th>{total}</tr></table>"
    return f'<h2>Images</h2><div class="scroll">{table}</div>'


def _sizes(findings: dict) -> str:
    sizes = findings["sizes"]
    most = max((step["images"] for step in sizes["histogram"]), default=0)
    if not most:
        return ""
    rows = "".join(
        f'<tr><td>{step["px"]}</td><td>{step["images"]:,}</td><td class="bars">'
        f'<span class="bar" style="width:{100 * step["images"] / most:.1f}%"></span></td></tr>'
        for step in sizes["histogram"]
    )
    formats = ", ".join(f"{escape(name)}: {count:,}" for name, count in findings["formats"].items())
    head = "<tr><th>shorter side, px</th><th>images</th><th></th></tr>"
    span = "smallest {smallest_px} px, median {median_px:g}, largest {largest_px}".format(**sizes)
    return f'<h2>Sizes <span>{span}</span></h2><table>{head}{rows}</table><p class="soft">{formats}</p>'


class _Shelf:
    """Draws files by path; each thumbnail is decoded when it is shown and not kept."""

    def __init__(self, audit: Audit):
        self.files = {entry.id: entry for entry in audit.collection.files}

    def kind(self, kind: str, title: str, found: list[dict]) -> str:
        if not found:
            return ""
        figures = "".join(self._figure(entry, shown=kind not in BAD_KINDS) for entry in found[:SHOWN])
        return f'<h2>{escape(title)} <span>{len(found):,}</span></h2><div class="shelf">{figures}</div>{_more(found)}'

    def duplicates(self, name: str, groups: list[dict]) -> str:
        if not groups:
            return ""
        drawn = "".join(self._group(group) for group in groups[:SHOWN])
        return f"<h2>Groups of {name} duplicates <span>{len(groups):,}</span></h2>{drawn}{_more(groups)}"

    def _group(self, group: dict) -> str:
        tags = [
            text
            for key, text in (("across_classes", "different classes"), ("across_splits", "more than one split"))
            if group[key]
        ]
        tag = f'<p class="tag">{", ".join(tags)}</p>' if tags else ""
        figures = "".join(self._figure(entry) for entry in group["files"][:SHOWN_OF_GROUP])
        rest = len(group["files"]) - SHOWN_OF_GROUP
        more = f'<p class="soft">and {rest} more of this group</p>' if rest > 0 else ""
        return f'<div class="group">{tag}<div class="shelf">{figures}</div>{more}</div>'

    def _figure(self, entry: dict, shown: bool = True) -> str:
        path = escape(entry["path"])
        try:
            picture = _thumbnail(decode_entry(self.files[entry["path"]])) if shown else None
        except BadImage:  # gone since the audit read it
            picture = None
        drawn = f'<img alt="{path}" src="{picture}">' if picture else '<div class="none">no image</div>'
        detail = escape(entry.get("detail") or f"{entry['class']}, {entry['split']}")
        return f"<figure>{drawn}<figcaption>{path}<br><span class=soft>{detail}</span></figcaption></figure>"


def _more(found: list) -> str:
    return f'<p class="soft">and {len(found) - SHOWN:,} more: see audit.json</p>' if len(found) > SHOWN else ""


def _thumbnail(image: np.ndarray) -> str:
    small = Image.fromarray(image)
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
