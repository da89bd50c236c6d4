from __future__ import annotations

import numpy as np
import pytest

from vision2.basics.errors import UserError
from vision2.zeroshot.attributes import read_attributes

# A seven-segment display drawn in characters: an independent description of which segments each digit lights.
#     a b c d e f g are: top, upper right, lower right, bottom, lower left, upper left, middle
DRAWN = """
 _       _   _       _   _   _   _   _
| |   |  _|  _| |_| |_  |_    | |_| |_|
|_|   | |_   _|   |  _| |_|   | |_|  _|
"""
PLACES = {"a": (0, 1), "b": (1, 2), "c": (2, 2), "d": (2, 1), "e": (2, 0), "f": (1, 0), "g": (1, 1)}
CSV = "class,striped,big\ncat,1,0\ndog,0.5,1\nfox,0,0.2\n"


def test_the_seven_segments_are_those_of_a_drawn_display():
    lines = [line.ljust(40) for line in DRAWN.splitlines()[1:]]
    found = read_attributes("seven_segments", tuple("0123456789"))
    for digit in range(10):
        cell = [line[4 * digit : 4 * digit + 3] for line in lines]
        lit = {name for name, (row, column) in PLACES.items() if cell[row][column] != " "}
        assert {name for name, value in zip(found.names, found.values[digit], strict=True) if value} == lit, digit


def test_signatures_have_unit_length_and_do_not_depend_on_the_units_of_a_column(tmp_path):
    plain, other = tmp_path / "a.csv", tmp_path / "b.csv"
    plain.write_text(CSV)
    other.write_text("class,striped,grams\ncat,1,0\ndog,0.5,5000\nfox,0,1000\n")
    a, b = (read_attributes(str(file), ["fox", "cat", "dog"]) for file in (plain, other))
    assert a.classes == ("fox", "cat", "dog")
    assert a.signatures() == pytest.approx(b.signatures())
    assert np.linalg.norm(a.signatures(), axis=1) == pytest.approx([1, 1, 1])


def test_a_file_of_a_spanish_spreadsheet_has_semicolons_and_decimal_commas(tmp_path):
    (tmp_path / "a.csv").write_text("clase;rayas;tamaño\ngato;0,5;-1,25\nperro;1;,5\n", encoding="utf-8")
    assert read_attributes(str(tmp_path / "a.csv"), ["perro", "gato"]).values.tolist() == [[1, 0.5], [0.5, -1.25]]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (CSV.replace("fox", "wolf"), "a.csv has no row for the class fox; add it (it describes cat, dog, wolf)"),
        (CSV + "cat,1,1\n", "a.csv line 5: the class 'cat' occurs twice; keep one row for each class"),
        (CSV.replace("big", "striped"), "a.csv has two columns named 'striped'; give each attribute its own name"),
        (CSV.replace("0.5", "yes"), "a.csv line 3: 'striped' is 'yes'; every attribute must be a number, e.g. 1 or 0.5"),
        (CSV.replace("0.5", "nan"), "a.csv line 3: 'striped' is 'nan'"),
        (CSV.replace("0.5", ""), "a.csv line 3: 'striped' is ''"),
        (CSV.replace("fox,0,0.2", "fox,0"), "a.csv line 4 has 2 cells, but its header has 3; make them equal"),
        ("class,same,big\ncat,1,0\ndog,1,1\nfox,1,2\n", "'same' is the same for all 3 classes"),
        ("class,s,b\ncat,0,1\ndog,0,1\nfox,1,0\n", "'cat' and 'dog' have proportional attributes; add one that differs"),
        ("name,striped\ncat,1\n", "the header of a.csv is 'name,striped'; it must be class,NAME,NAME,..."),
        ("", "is empty; write a header class,NAME,NAME,..."),
        ('class,s\n"cat,1\n', "cannot be read"),
    ],
)
def test_a_file_that_cannot_describe_the_classes_is_refused_in_one_sentence(text, sentence, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        read_attributes(str(file), ["cat", "dog", "fox"])
    assert sentence in str(caught.value)
    assert len(caught.value.problems) == 1


def test_the_segments_are_refused_for_classes_that_are_no_digits():
    with pytest.raises(UserError, match="describes the digits 0 to 9 and not cat, dog; give a CSV file"):
        read_attributes("seven_segments", ["cat", "dog"])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_attributes(str(tmp_path / "absent.csv"), ["cat"])
