"""Names from files cannot affect a terminal, a table or a spreadsheet that shows them."""

from __future__ import annotations

import json

import pytest

from vision2.basics.safe_text import printable, spreadsheet_cell


@pytest.mark.parametrize(
    "letter", ["\x00", "\x1b", "\n", "\r", "\t", "\x7f", "\x9b", "\u200b", "\u202e", "\u2028", "\udcff", "\U000e0041"]
)
def test_control_characters_become_json_escapes(letter):
    shown = printable(f"a{letter}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert json.loads(f'"{shown}"') == f"a{letter}b"


@pytest.mark.parametrize("text", ["perro", "café ñandú", "日本", "👩\u200d🔬", "می\u200cخواهم", "a b\u00a0c", 'quo"te, #1'])
def test_letters_of_every_script_and_emoji_stay_unchanged(text):
    assert printable(text) == text


@pytest.mark.parametrize("start", "=+-@")
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(start):
    assert spreadsheet_cell(f"{start}cmd|x") == f"'{start}cmd|x"
    assert spreadsheet_cell(f"a{start}b") == f"a{start}b"


@pytest.mark.parametrize("start", ["\t", "\r"])
def test_white_space_before_a_formula_does_not_hide_it(start):
    assert spreadsheet_cell(f"{start}=1")[0] == "'"
