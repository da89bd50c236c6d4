"""Names that come from files, made safe for where they are shown: a terminal, a table, a spreadsheet."""

from __future__ import annotations

import json
import unicodedata

# Control, format (they can reverse a line's direction), surrogate (a file name that is not UTF-8), line and paragraph.
UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
JOINERS = frozenset("\u200c\u200d")  # format characters that emoji and several scripts are written with
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the beginning of a formula


def printable(text: str) -> str:
    r"""Control characters as JSON's escapes such as \u001b, so that they cannot move the cursor or break a table."""
    return "".join(_escaped(letter) if _is_unprintable(letter) else letter for letter in text)


def _is_unprintable(letter: str) -> bool:
    return unicodedata.category(letter) in UNPRINTABLE and letter not in JOINERS


def _escaped(letter: str) -> str:
    return "\\u007f" if letter == "\x7f" else json.dumps(letter)[1:-1]  # 7f is ASCII, which json leaves as it is


def spreadsheet_cell(text: str) -> str:
    """Text for a cell of a CSV file: printable, and behind an apostrophe where a spreadsheet would take it for a formula.

    The rule that OWASP gives for "CSV injection". Numbers of our own are written without it.
    """
    return "'" + printable(text) if text.startswith(FORMULA_STARTS) else printable(text)
