"""`python -m vision2.cost`: computed and counted numbers agree, with the slides next to them; mistakes give one line."""

from __future__ import annotations

import json

import pytest

from vision2.cost import main
from vision2.profiling.arithmetic import Setting, lessons
from vision2.profiling.cost_lesson import design_rows


@pytest.mark.parametrize("given", [Setting(), Setting(size=5, channels=7, filters_1x1=3, reduce=2, n=4)])
def test_the_count_on_the_real_module_equals_the_computed_number_in_every_row(given):
    for lesson in lessons(given):
        for design in (lesson.costly, lesson.cheaper):
            for row in design_rows(design, given):
                assert row.counted == row.computed, (design.name, row.layer)


def test_the_exact_numbers_are_printed_next_to_those_of_the_slides(capsys):
    assert main([]) == 0
    rows = {tuple(line.split()) for line in capsys.readouterr().out.splitlines()}
    assert ("sum", "333,670,400", "333,670,400", "333.5", "M") in rows
    assert ("sum", "125,440,000", "125,440,000", "125.4", "M") in rows
    assert ("3x3", "28·28", "·", "3·3·100", "·", "192", "135,475,200", "135,475,200", "135.4", "M") in rows


def test_the_slides_are_shown_only_for_their_own_input(capsys):
    # 14·14 · 5·5·512 · 48 happens to be 120,422,400, which is a number on the slides.
    assert main(["size=14", "channels=512", "filters_5x5=48"]) == 0
    printed = capsys.readouterr().out
    assert "120,422,400" in printed
    assert "120.4 M" not in printed


def test_markdown_and_json_are_written_to_a_folder(tmp_path, capsys):
    assert main([f"out={tmp_path / 'new'}", "format=json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "new" / "cost.json").read_text()) == printed
    assert printed["lessons"][0]["costly"]["rows"][-1]["counted"] == 333_670_400
    assert "| sum |  | 333,670,400 | 333,670,400 | 333.5 M |" in (tmp_path / "new" / "cost.md").read_text()


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("size=0", "size is 0; it must be 1 or more"),
        ("size=big", "whole number"),
        ("sise=3", "did you mean 'size'"),
        ("format=xml", "format is 'xml'; it must be one of text, markdown, json"),
    ],
)
def test_mistakes_give_one_line_and_exit_code_2(word, sentence, capsys):
    assert main([word]) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1
