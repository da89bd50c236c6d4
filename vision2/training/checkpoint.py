"""Checkpoints: dicts of tensors and plain Python values, written atomically and read without executing any code."""

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
    """Write `content` atomically: if the process is killed, either the old file or the new one is there.

    Raises:
        UserError: when the file cannot be written, e.g. because the disk is full.
    """
    with replacing(path) as temporary:
        try:
            torch.save({"format": FORMAT, **content}, temporary)
        except RuntimeError as error:  # torch's writer reports a failed write without its errno
            if any(sign in str(error) for sign in FAILED_WRITE):
                raise OSError(errno.ENOSPC, "the disk is full or its quota is used up") from error
            raise


def load_last(run_dir: str | Path | None) -> dict | None:
    """The checkpoint to resume from; None for a new run, or one that was stopped before the end of its first epoch.

    Raises:
        UserError: when the file is damaged.
    """
    path = Path(run_dir).expanduser() / LAST if run_dir else None
    return load_checkpoint(path) if path and path.is_file() else None


def checkpoint_file(place: str | Path) -> Path:
    """The file of a checkpoint given as a path; for a run folder, its best.pt."""
    path = Path(place).expanduser()
    return path / "best.pt" if path.is_dir() else path


def load_checkpoint(path: str | Path) -> dict:
    """Load a vision2 checkpoint as a dict, on the CPU.

    Raises:
        UserError: when the file is missing, damaged, or not a vision2 checkpoint.
    """
    path = checkpoint_file(path)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; give a run folder, or the best.pt or last.pt in it")
    try:
        content = load_tensors(path)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise UserError(
            f"{path} cannot be read as a checkpoint: it is damaged, or contains more than tensors;"
            " use another checkpoint or train again"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} is not a vision2 checkpoint; to load a file of weights only, use weights.path=FILE")
    return content
