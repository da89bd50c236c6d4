"""Write files so that a kill at any moment leaves the old content or the new, never part of it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vision2.basics.errors import UserError, is_disk_full


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors while `path` is written into one sentence.

    Raises:
        UserError: if the file cannot be written (no permission, no space, not a folder).
    """
    try:
        yield
    except OSError as error:
        in_a_file = isinstance(error, FileExistsError | NotADirectoryError)
        reason = f"{path.parent} is not a folder" if in_a_file else error.strerror or str(error)
        remedy = "free some space or choose another path" if is_disk_full(error) else "choose a path that you can write to"
        raise UserError(f"cannot write {path}: {reason}; {remedy}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; on success it is fsynced and renamed to `path`, on failure removed.

    Raises:
        UserError: if the file cannot be written.
    """
    temporary = None
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
            os.close(handle)
            temporary = Path(name)
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write strict JSON: NaN and infinity would be bugs, so they raise ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: Path, text: str) -> None:
    """Append a line to a file, on a new line even if a kill or a full disk left the last one incomplete.

    Raises:
        UserError: if the file cannot be written.
    """
    with writing(path), path.open("ab+") as stream:
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                text = "\n" + text
        stream.write(f"{text}\n".encode())
