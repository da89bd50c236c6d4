"""Track which files of a folder are ours: only these are replaced or deleted, whatever else the user keeps there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vision2.basics.atomic_write import append_line, write_text, writing
from vision2.basics.errors import UserError

LIST = ".vision2.jsonl"  # names of the files we wrote, one JSON string per line, relative to the folder


def names_in(text: str) -> list[str]:
    """The names in a list of written files."""
    names = []
    for line in text.splitlines():
        with suppress(ValueError):  # a line that a kill left incomplete
            names.append(json.loads(line))
    return [name for name in names if isinstance(name, str)]


class WrittenFiles:
    """The files we write into `folder`.

    Args:
        names: files that will be written; checked here, before any work is done for them.

    Raises:
        UserError: if a file that we did not write already has one of the names.
    """

    def __init__(self, folder: str | Path, *names: str):
        self.folder = Path(folder)
        self._list = self.folder / LIST
        self._check(names)

    def path(self, name: str) -> Path:
        """Where to write `name`, which counts as ours from now on.

        Raises:
            UserError: if a file that we did not write already has this name, or the folder cannot be written.
        """
        self._check([name])
        self._note([name])
        return self.folder / name

    def adopt(self, names: Iterable[str]) -> None:
        """Count `names` as ours in a folder written by an earlier version, which kept no list."""
        if not self._list.exists():
            self._note([name for name in names if (self.folder / name).exists()])

    @contextmanager
    def renewed(self) -> Iterator[WrittenFiles]:
        """Write new files aside; they replace all of ours when the block ends.

        If the block ends early (an error, a full disk, a signal), nothing changes.
        """
        created = not self.folder.exists()
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.folder))
        try:
            new = WrittenFiles(aside)
            yield new
            before, names = self._listed(), new._listed()
            self._check(names)
            self._note(names)
            for name in names:
                (aside / name).replace(self.folder / name)
            self._delete(name for name in before if name not in names)
            write_text(self._list, "".join(f"{json.dumps(name)}\n" for name in names))
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            if created:
                with suppress(OSError):  # not empty: the new files are there
                    self.folder.rmdir()

    def clear(self) -> None:
        """Delete every file we wrote, and the list; folders and the user's files are kept."""
        self._delete(self._listed())
        self._list.unlink(missing_ok=True)

    def _delete(self, names: Iterable[str]) -> None:
        for name in names:
            path = self.folder / name
            if path.parent.resolve().is_relative_to(self.folder.resolve()):  # someone else may have written the list
                with suppress(OSError):
                    path.unlink()

    def _check(self, names: Iterable[str]) -> None:
        listed = self._listed()
        for name in names:
            if name not in listed and os.path.lexists(self.folder / name):
                raise UserError(
                    f"{self.folder / name} was not written by vision2 (or by a version that kept no list of its files);"
                    " move or delete it, then run the same command again"
                )

    def _note(self, names: Iterable[str]) -> None:
        new = [name for name in names if name not in self._listed()]
        if new:
            with writing(self._list):
                self.folder.mkdir(parents=True, exist_ok=True)
            append_line(self._list, "\n".join(map(json.dumps, new)))  # appending: two commands may share a folder

    def _listed(self) -> list[str]:
        return names_in(self._list.read_text(encoding="utf-8")) if self._list.exists() else []
