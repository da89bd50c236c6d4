"""Locks between processes. The operating system frees them when their holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """An advisory lock on a small file, held from `acquire` until `release` (or the end of the process)."""

    def __init__(self, handle: int, path: Path):
        self._handle, self._path = handle, path

    @classmethod
    def acquire(cls, path: Path, *, shared: bool, wait: bool = True) -> FileLock | None:
        """Many may hold it shared, or one alone; None when `wait` is false and it is taken."""
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return None
            # Whoever held it before may have deleted the file: then this lock is on a file nobody else will find.
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return cls(handle, path)
            os.close(handle)

    def release(self, *, delete: bool = False) -> None:
        """`delete` removes the file too; only for a lock held alone."""
        if self._handle is None:
            return
        if delete:
            self._path.unlink(missing_ok=True)
        os.close(self._handle)
        self._handle = None

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self):
        self.release()
