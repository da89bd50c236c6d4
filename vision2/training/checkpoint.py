"""Checkpoints: plain dicts of tensors and Python scalars, replaced atomically, read without executing anything."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import torch

from vision2.basics.atomic_write import replacing
from vision2.basics.errors import UserError
from vision2.models.weights.read import load_tensors

LAST = "last.pt"
FAILED_WRITE = ("PytorchStreamWriter", "inline_container")
FORMAT = 2  # format 1 is still read, see vision2/models/weights/read.py


def save_checkpoint(path: Path, content: dict) -> None:
    """Write `content` so that a kill at any moment leaves the old file or the new one.

    Raises:
        UserError: where the file cannot be written, e.g. because the disk is full.
    """
    with replacing(path) as temporary:
        try:
            torch.save({"format": FORMAT, **content}, temporary)
        except RuntimeError as error:  # torch's writer reports a failed write without its errno
            if any(sign in str(error) for sign in FAILED_WRITE):
                raise OSError(errno.ENOSPC, "the disk is full or its quota is used up") from error
            raise


def load_last(run_dir: str | Path | None) -> dict | None:
    """The checkpoint to resume from; None for a new run and for one that was stopped before its first epoch ended.

    Raises:
        UserError: when the file is damaged.
    """
    path = Path(run_dir).expanduser() / LAST if run_dir else None
    return load_checkpoint(path) if path and path.is_file() else None


def checkpoint_file(place: str | Path) -> Path:
    """The file that a checkpoint's path names; a run folder stands for its best one."""
    path = Path(place).expanduser()
    return path / "best.pt" if path.is_dir() else path


def load_checkpoint(path: str | Path) -> dict:
    """The dict of a checkpoint of ours, on the CPU.

    Raises:
        UserError: when the file is absent, damaged, or not one of ours.
    """
    path = checkpoint_file(path)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; a run folder holds best.pt and last.pt")
    try:
        content = load_tensors(path)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as a checkpoint (it is damaged, or holds more than tensors)") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} is not a vision2 checkpoint; for a file that holds only weights use weights.path=FILE")
    return content
