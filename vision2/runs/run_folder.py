"""The folder of a run, `outputs/<dataset>/<model>-<strategy>/<time>-<id>/`, created so that no two runs share it."""

from __future__ import annotations

import os
import re
import secrets
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from vision2.basics.errors import UserError

LOCK = ".lock"  # held while a process trains in the folder; the system releases it however the process ends
PATIENCE_S = 0.5  # longer than `is_locked` holds the lock while it checks
ATTEMPTS = 100  # there are 65,536 names per second, so a hundred collisions in a row mean something else is wrong


def create_run_dir(output_dir: str | Path, dataset: str, model: str, strategy: str) -> Path:
    """Create and return a new, empty folder. Creation is exclusive, so processes started together get different folders.

    Raises:
        UserError: if the folder cannot be created there.
    """
    parent = Path(output_dir).expanduser() / _safe(dataset) / f"{_safe(model)}-{_safe(strategy)}"
    return create_dir_by_time(parent, "run folder")


def create_dir_by_time(parent: Path, what: str) -> Path:
    """Create and return the new folder `<parent>/<time>-<id>`; `what` names it in messages.

    Raises:
        UserError: if it cannot be created there.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for _ in range(ATTEMPTS):
            path = parent / f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return path.resolve()
    except OSError as error:
        reason = f"{error.strerror or error}; set output_dir=FOLDER to a folder you can write to"
        raise UserError(f"cannot create a {what} in {parent}: {reason}") from error
    raise UserError(f"cannot create a {what} in {parent}: {ATTEMPTS} names were taken; set output_dir=FOLDER to another folder")


def check_can_write(output_dir: str | Path) -> None:
    """Check that `create_run_dir` will succeed, before an hour of decoding; nothing is created.

    Raises:
        UserError: if `output_dir` is not a writable folder and cannot become one.
    """
    place = Path(output_dir).expanduser().absolute()
    present = next(path for path in (place, *place.parents) if path.exists())
    if not present.is_dir() or not os.access(present, os.W_OK | os.X_OK):
        reason = "is not writable" if present.is_dir() else "is not a folder"
        raise UserError(
            f"cannot create a run folder in {place}: {present} {reason}; set output_dir=FOLDER to a folder you can write to"
        )


def lock_run(run_dir: Path) -> FileLock | None:
    """Keep other processes from training in this folder until the lock is released; None if files cannot be locked.

    Raises:
        UserError: if another process is training in it.
    """
    lock = _lock(run_dir)
    try:
        lock.acquire(timeout=PATIENCE_S)
    except Timeout as error:
        raise UserError(
            f"another process is training in {run_dir}; wait for it to end or stop it, then run the same command again"
        ) from error
    except OSError:
        return None
    return lock


def is_locked(run_dir: Path) -> bool | None:
    """Whether a process is training in this folder; None if that cannot be determined."""
    if not (run_dir / LOCK).exists():
        return False
    lock = _lock(run_dir)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return None
    lock.release()
    return False


def _lock(run_dir: Path) -> FileLock:
    """A lock that raises OSError if the file system has no locks, instead of pretending to lock."""
    return FileLock(run_dir / LOCK, thread_local=False, fallback_to_soft=False)


def _safe(name: str) -> str:
    """A valid folder name on every system: a model called 'hf-hub:a/b' must not create two folders."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip(".") or "_"
