"""Attributes of classes from a CSV file: a header `class,NAME,NAME,...` and a row of numbers for each class."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vision2.basics.errors import UserError, first_few
from vision2.data.files.csv_list import delimiter_of

DECIMAL_COMMA = re.compile(r"^([+-]?\d*),(\d+)$")  # spreadsheets in Spanish write 0,5 and separate cells by semicolons
SEVEN_SEGMENTS = "seven_segments"  # ships with the package: the ten digits on a seven-segment display


class Attributes(NamedTuple):
    """Names of the classes and attributes, and their values (K, A)."""

    classes: tuple[str, ...]
    names: tuple[str, ...]
    values: np.ndarray

    def signatures(self) -> np.ndarray:
        """(K, A): every attribute scaled to [0, 1] over the classes, every class to length 1.

        Unit length as in the benchmark of Xian et al. 2018 (arXiv 1707.00600): else a class with many attributes would
        have the highest score too often.
        """
        low, high = self.values.min(0), self.values.max(0)
        scaled = (self.values - low) / (high - low)
        return scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)


def read_attributes(file: str, classes: Sequence[str]) -> Attributes:
    """The attributes of `classes`, in their order; the file may describe more classes. `seven_segments` names the digits'.

    Raises:
        UserError: for a file that cannot be read, a missing or repeated class, a repeated or constant attribute, a cell
            that is not a number, or two classes with equal attributes.
    """
    path = Path(__file__).with_name(f"{SEVEN_SEGMENTS}.csv") if file == SEVEN_SEGMENTS else Path(file).expanduser()
    rows = _read_rows(path)
    names, by_class = _checked_header(path, rows[0]), {}
    for line, row in rows[1:]:
        if row[0] in by_class:
            raise UserError(f"{path.name} line {line}: the class '{row[0]}' occurs twice; keep one row for each class")
        by_class[row[0]] = [_number(path, line, name, cell) for name, cell in zip(names, row[1:], strict=True)]
    missing = [name for name in classes if name not in by_class]
    if missing and file == SEVEN_SEGMENTS:
        described = f"{SEVEN_SEGMENTS} describes the digits 0 to 9 and not {first_few(missing, 8)}"
        raise UserError(f"{described}; give a CSV file with the attributes of your classes (strategy.attributes=FILE)")
    if missing:
        hint = f"it describes {first_few(list(by_class), 8)}"
        raise UserError(f"{path.name} has no row for the class {first_few(missing, 8)}; add it ({hint})")
    found = Attributes(tuple(classes), names, np.array([by_class[name] for name in classes]))
    _check_values(path, found)
    return found


def _read_rows(path: Path) -> list:
    """The header's cells, then (line, cells) of each row; all have as many cells as the header."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        delimiter = delimiter_of(text.partition("\n")[0]) or ","
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"the attributes in {path} cannot be read ({reason}); give a CSV file in UTF-8 with the header"
            " class,NAME,NAME,... and a row of numbers for each class"
        ) from error
    if not rows:
        raise UserError(f"{path} is empty; write a header class,NAME,NAME,... and a row of numbers for each class")
    header = rows[0][1]
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise UserError(f"{path.name} line {line} has {len(row)} cells, but its header has {len(header)}; make them equal")
    return [header, *rows[1:]]


def _checked_header(path: Path, header: list[str]) -> tuple[str, ...]:
    if header[0].lower() not in ("class", "clase") or len(header) < 2:
        raise UserError(f"the header of {path.name} is '{','.join(header)}'; it must be class,NAME,NAME,...")
    twice = [name for name, count in Counter(header[1:]).items() if count > 1]
    if twice:
        raise UserError(f"{path.name} has two columns named '{twice[0]}'; give each attribute its own name")
    return tuple(header[1:])


def _number(path: Path, line: int, name: str, cell: str) -> float:
    try:
        value = float(DECIMAL_COMMA.sub(r"\1.\2", cell))
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise UserError(f"{path.name} line {line}: '{name}' is '{cell}'; every attribute must be a number, e.g. 1 or 0.5")
    return value


def _check_values(path: Path, found: Attributes) -> None:
    constant = [name for name, column in zip(found.names, found.values.T, strict=True) if np.ptp(column) == 0]
    if constant:
        raise UserError(
            f"{path.name}: '{constant[0]}' is the same for all {len(found.classes)} classes, so it cannot tell them apart;"
            " delete this column"
        )
    first = {}
    for name, row in zip(found.classes, found.signatures().round(12).tolist(), strict=True):
        other = first.setdefault(tuple(row), name)
        if other != name:
            raise UserError(f"{path.name}: '{other}' and '{name}' have proportional attributes; add one that differs")
