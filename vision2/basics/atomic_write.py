"""Writing files so that a kill at any moment leaves the old content or the new, never a part of it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vision2.basics.errors import UserError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What fails while `path` is written becomes one sentence.

    Raises:
        UserError: where the file cannot be written (no permission, no space, not a folder).
    """
    try:
        yield
    except OSError as error:
        in_a_file = isinstance(error, FileExistsError | NotADirectoryError)
        reason = f"{path.parent} is not a folder" if in_a_file else error.strerror or str(error)
        raise UserError(f"cannot write {path}: {reason}; choose another path or free some space") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed over `path`, on failure removed.

    Raises:
        UserError: where the file cannot be written.
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
    """Strict JSON: NaN and infinity would be bugs of ours, so they raise ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: Path, text: str) -> None:
    """Add a line to a file; where a kill or a full disk cut off the last one, the new line still begins a line.

    Raises:
        UserError: where the file cannot be written.
    """
    with writing(path), path.open("ab+") as stream:
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                text = "\n" + text
        stream.write(f"{text}\n".encode())
