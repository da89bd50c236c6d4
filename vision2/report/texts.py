"""Translate the texts of tables, figures and pages: they are in English in the code, and in Spanish in es.yaml."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Protocol

import yaml

from vision2.basics.errors import UserError


class Say(Protocol):
    def __call__(self, text: str, **values: object) -> str: ...


def untranslated(text: str, **values: object) -> str:
    """The English text, as written in the code, with its {placeholders} filled in."""
    return text.format(**values) if values else text


def translator(language: str) -> Say:
    """Return a function that translates an English text to `language` ("en" or "es") and fills in its {placeholders}.

    Raises:
        UserError: for any other language.
    """
    if language not in ("en", "es"):
        raise UserError(f"report.language is '{language}'; it must be en or es")

    if language == "en":
        return untranslated
    return lambda text, **values: untranslated(spanish()[text], **values)


@cache
def spanish() -> dict[str, str]:
    return yaml.safe_load(Path(__file__).with_name("es.yaml").read_text(encoding="utf-8"))
