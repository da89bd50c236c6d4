"""Paths and class names as people have them: Hydra's grammar takes ñ, ☕ or (1) only inside quotes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

BARE_ITEM = re.compile(r"""[^\[\]{},:'"]*[^\x00-\x7f][^\[\]{},:'"]*""")  # of a list or dict, with a letter beyond ASCII


def quote_words(words: Sequence[str]) -> list[str]:
    """The words, with quotes put around the values that Hydra cannot read without; the others as they are."""
    return [_quoted(word) for word in words]


def _quoted(word: str) -> str:
    if _is_readable(word):
        return word
    key, equals, value = word.partition("=")
    text = BARE_ITEM.sub(lambda found: _in_quotes(found[0].strip()), value) if value[:1] in "[{" else _in_quotes(value)
    candidate = f"{key}{equals}{text}"
    return candidate if equals and _is_readable(candidate) else word


def _is_readable(word: str) -> bool:
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True


def _in_quotes(text: str) -> str:
    return QuotedString(text, Quote.single).with_quotes()
