"""Images listed in a CSV file: a path, a label and optionally a split in each row."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError, suggest
from vision2.data.collection import Collection, collect
from vision2.data.files.formats import IMAGE_EXTENSIONS
from vision2.data.files.listing import FileEntry, is_hidden, readable_name
from vision2.data.files.part_names import part_of
from vision2.data.files.unused import count_unused

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig

EXTENSIONS = (".csv", ".tsv", ".txt", ".lst")
DELIMITERS = (",", ";", "\t", "|")  # spreadsheets write one or another by country; a space if none of these occurs
COLUMNS = {  # header names that need no option; the first one found is used
    "path": "path file filename file_name filepath file_path image image_path image_name img img_path ruta archivo imagen",
    "label": "label class class_name classname category target species etiqueta clase categoria",
    "split": "split part subset particion",
}
SEPARATORS = re.compile(r"[,;|]")  # between several labels in one cell
PROBLEMS_SHOWN = 10


def read_csv(path: Path, config: DatasetConfig) -> Collection:
    """Read the collection from a list with a header line; paths are relative to the list's folder, or absolute.

    Raises:
        UserError: naming the line, column or file that is wrong; also when an image has several labels.
    """
    header, rows = _read_rows(path)
    columns = _find_columns(path, header, rows, config)
    names, labels, parts, problems = [], [], [], []
    for line, row in rows:
        cells = {what: row[column].strip() for what, column in columns.items()}
        part = part_of(cells["split"]) if "split" in cells else ""
        if not cells["path"] or not cells["label"] or part is None:
            needs = "a path, a label and a split (train, val or test)" if "split" in columns else "a path and a label"
            problems.append(f"{path.name} line {line}: needs {needs}")
            continue
        names.append(cells["path"])
        labels.append(cells["label"])
        parts.append(part)
    _refuse_several_labels(path, names, labels)
    files = _files(path.parent, names)
    problems += _file_problems(path, files)
    if problems:
        raise UserError(*problems[:PROBLEMS_SHOWN])
    if all(re.fullmatch(r"\d+\.0", label) for label in labels):  # a spreadsheet wrote 10 as 10.0
        labels = [label.removesuffix(".0") for label in labels]
    order = sorted(range(len(files)), key=lambda index: files[index].id)
    files, labels, parts = ([column[index] for index in order] for column in (files, labels, parts))
    unlisted = _unlisted(files)
    return collect(files, labels, parts, notes={"layout": "CSV list"} | ({"unused": unlisted} if unlisted else {}))


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and (line, cells) of each row, padded to the header's length."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        quote = "'" if first.lstrip().startswith("'") else '"'
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=delimiter_of(first) or " ",
            quotechar=quote,
            skipinitialspace=True,
        )
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except OSError as error:
        raise UserError(f"cannot read the list {path}: {error.strerror or error}; check its permissions") from error
    except (UnicodeDecodeError, csv.Error) as error:
        remedy = "save it as UTF-8" if isinstance(error, UnicodeDecodeError) else "close its quotes, or save it again as CSV"
        raise UserError(f"cannot read the list {path}: {error}; {remedy}") from error
    if not rows:
        return [], []
    header = [cell.strip() for cell in rows[0][1]]
    return header, [(line, row + [""] * (len(header) - len(row))) for line, row in rows[1:]]


def delimiter_of(header: str) -> str | None:
    """What separates the cells of this line: the most frequent of `DELIMITERS`; None if it has none of them."""
    delimiter = max(DELIMITERS, key=header.count)
    return delimiter if delimiter in header else None


def _find_columns(path: Path, header: list[str], rows: list, config: DatasetConfig) -> dict[str, int]:
    """{path, label and, if present, split: column position}, from the options or the usual names."""
    lower, found = [name.lower() for name in header], {}
    given = {"path": config.csv_path_column, "label": config.csv_label_column, "split": config.csv_split_column}
    for what, usual in COLUMNS.items():
        wanted = given[what]
        if wanted is not None and wanted.lower() not in lower:
            raise UserError(f"dataset.csv_{what}_column={wanted}: {path} has no column with that name{suggest(wanted, header)}")
        names = [wanted.lower()] if wanted is not None else usual.split()
        if name := next((name for name in names if name in lower), None):
            found[what] = lower.index(name)
    if "path" in found and "label" not in found and _are_indicators([row for _, row in rows], found["path"], len(header)):
        raise UserError(
            f"{path} has a column of 0 and 1 for each class, as for multi-label classification, which is not supported: "
            "use one column 'label' with one class per image"
        )
    if not rows or not {"path", "label"} <= found.keys():
        raise UserError(
            f"the list {path} needs a first line 'path,label' or 'path,label,split' and one image per line below it; for "
            "other column names, set dataset.csv_path_column and dataset.csv_label_column"
        )
    return found


def _are_indicators(rows: list[list[str]], path_column: int, width: int) -> bool:
    cells = {row[column].strip() for row in rows for column in range(width) if column != path_column}
    return width > 2 and cells == {"0", "1"}


def _files(folder: Path, names: list[str]) -> list[FileEntry]:
    """Entries with ids relative to the list's folder or, if some files are outside it, to their deepest common folder."""
    places = [_place(folder, name) for name in names]
    base = folder.absolute()
    absolute = [os.path.normpath(place.absolute()) for place in places]
    if places and not all(Path(place).is_relative_to(base) for place in absolute):
        base = Path(os.path.commonpath([str(Path(place).parent) for place in absolute]))
    ids = [readable_name(PurePosixPath(os.path.relpath(place, base)).as_posix()) for place in absolute]
    return [FileEntry(str(place), name) for place, name in zip(places, ids, strict=True)]


def _place(folder: Path, name: str) -> Path:
    """Where a listed file is; lists written on Windows have backslashes."""
    place = folder / name
    return folder / name.replace("\\", "/") if "\\" in name and not place.exists() else place


def _file_problems(path: Path, files: list[FileEntry]) -> list[str]:
    problems = []
    missing = [entry.id for entry in files if not os.path.isfile(entry.path)]  # noqa: PTH113
    if missing:
        problems.append(
            f"{len(missing)} of the files listed in {path.name} do not exist, e.g. {missing[0]}; "
            f"paths must be absolute or relative to {path.parent}"
        )
    twice = [name for name, times in Counter(entry.id for entry in files).items() if times > 1]
    if twice:
        problems.append(f"{path.name} lists files more than once ({len(twice)}, e.g. {twice[0]}); keep one line for each")
    return problems


def _unlisted(files: list[FileEntry]) -> list[dict]:
    """Images beside the listed ones, in the same folders, as notes on what is not used."""
    listed = {os.path.abspath(entry.path) for entry in files}  # noqa: PTH100 - links stay as they are
    folders = {os.path.dirname(place) for place in listed}  # noqa: PTH120
    beside = (entry for folder in sorted(folders) for entry in os.scandir(folder) if not is_hidden(entry.name))
    images = (entry for entry in beside if entry.path not in listed and entry.name.lower().endswith(tuple(IMAGE_EXTENSIONS)))
    return count_unused((readable_name(entry.name), "not in the list") for entry in images if entry.is_file())


def _refuse_several_labels(path: Path, names: list[str], labels: list[str]) -> None:
    """Raise UserError for images with more than one label: two rows for one file, a list, or `cat|dog` in a cell."""
    by_name = defaultdict(set)
    for name, label in zip(names, labels, strict=True):
        by_name[name].add(label)
    distinct = set(labels)
    in_labels = Counter(part.strip() for label in distinct for part in set(SEPARATORS.split(label)))
    found = [
        f"{name} is listed more than once, as {', '.join(sorted(them))}" for name, them in by_name.items() if len(them) > 1
    ]
    found += [label for label in sorted(distinct) if label.startswith("[") or _is_joined(label, in_labels)]
    if found:
        raise UserError(
            f"{path.name} gives several labels to one image ({found[0]}): multi-label classification is not supported; "
            "give one label per image"
        )


def _is_joined(label: str, in_labels: Counter) -> bool:
    """Whether every part of `cat|dog` occurs in other labels too; a class may be called "salt, pepper"."""
    parts = [part.strip() for part in SEPARATORS.split(label)]
    return len(parts) > 1 and all(in_labels[part] > 1 for part in parts)
