"""Write docs/configuration.md from the schema, so that the page cannot tell anything else than the program does.

python scripts/document_settings.py
"""

from __future__ import annotations

import inspect
import re
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path

from vision2.config import schema
from vision2.config.location import GROUPS, options

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
HEAD = """# Every setting

Made by `python scripts/document_settings.py` from `vision2/config/schema.py`. Type any of these as `key=value` behind
`python -m vision2.train` (and behind the other commands). `null` means: not set. An option of a group (`model=resnet50`)
sets several keys at once; what you type wins over it.
"""


def main() -> None:
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    lines = [HEAD, "| group | options |", "|---|---|"]
    lines += [f"| `{group}=` | {', '.join(options(group))} |" for group in GROUPS]
    for prefix, section in sections(schema.Config, ""):
        lines += [
            "",
            f"## {prefix.rstrip('.') or 'the run'}",
            "",
            "| key | default | allowed | meaning |",
            "|---|---|---|---|",
        ]
        hints = typing.get_type_hints(section)
        for field in fields(section):
            if not is_dataclass(hints[field.name]):
                lines.append(
                    f"| `{prefix}{field.name}` | {default(field)} | {allowed(field)} | {comment(section, field.name)} |"
                )
    return "\n".join(lines) + "\n"


def sections(section: type, prefix: str):
    """(dotted prefix, dataclass) of a section and all below it."""
    yield prefix, section
    for name, kind in typing.get_type_hints(section).items():
        if is_dataclass(kind):
            yield from sections(kind, f"{prefix}{name}.")


def default(field) -> str:
    value = field.default if field.default is not MISSING else field.default_factory()
    text = {"None": "null", "True": "true", "False": "false", "???": "by the group"}.get(str(value), str(value))
    return f"`{text}`" if text else ""


def allowed(field) -> str:
    if field.metadata.get("choices"):
        return ", ".join(f"`{value}`" for value in field.metadata["choices"])
    low, high = field.metadata.get("at_least"), field.metadata.get("at_most")
    bounds = "" if low is None else f" >= {low:g}" if high is None else f" {low:g} to {high:g}"
    kind = str(field.type).removesuffix(" | None")
    return {"str": "text", "int": "whole number", "float": "number", "bool": "true, false"}.get(kind, "list") + bounds


def comment(section: type, name: str) -> str:
    """What stands behind the field in the schema's source."""
    found = re.search(rf"^    {name}: .*?  # (.*)$", inspect.getsource(section), re.MULTILINE)
    return found.group(1).replace("|", "\\|") if found else ""


if __name__ == "__main__":
    main()
