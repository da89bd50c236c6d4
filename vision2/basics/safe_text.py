"""Make names that come from files safe to show in a terminal, a table, a page or a spreadsheet."""

from __future__ import annotations

import json
import unicodedata

# Control, format (can reverse a line's direction), surrogate (a file name that is not UTF-8), line and paragraph breaks.
UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
JOINERS = frozenset("\u200c\u200d")  # format characters that emoji and several scripts need
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the start of a formula


def printable(text: str) -> str:
    r"""Replace control characters by JSON escapes such as \u001b, so that they cannot move the cursor or break a table."""
    if text.isprintable():  # fast, for long texts such as pictures in pages
        return text
    return "".join(_escaped(letter) if _is_unprintable(letter) else letter for letter in text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines: its line breaks are kept."""
    return "\n".join(map(printable, text.split("\n")))


def _is_unprintable(letter: str) -> bool:
    return unicodedata.category(letter) in UNPRINTABLE and letter not in JOINERS


def _escaped(letter: str) -> str:
    return "\\u007f" if letter == "\x7f" else json.dumps(letter)[1:-1]  # 7f is ASCII, which json does not escape


def spreadsheet_cell(text: str) -> str:
    """Text for a CSV cell: printable, and with an apostrophe in front if a spreadsheet would take it for a formula.

    This is the rule of OWASP for "CSV injection". It does not apply to our own numbers.
    """
    return "'" + printable(text) if text.startswith(FORMULA_STARTS) else printable(text)
