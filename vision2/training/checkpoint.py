"""Checkpoints: plain dicts of tensors and Python scalars, replaced atomically, read without executing anything."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch

from vision2.basics.atomic_write import replacing
from vision2.basics.errors import UserError
from vision2.models.weights.read import load_tensors

FORMAT = 2  # format 1 is still read, see vision2/models/weights/read.py


def save_checkpoint(path: Path, content: dict) -> None:
    """Write `content` so that a kill at any moment leaves the old file or the new one."""
    with replacing(path) as temporary:
        torch.save({"format": FORMAT, **content}, temporary)


def load_checkpoint(path: str | Path) -> dict:
    """The dict of a checkpoint of ours, on the CPU.

    Raises:
        UserError: when the file is absent, damaged, or not one of ours.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        path = path / "best.pt"
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; a run folder holds best.pt and last.pt")
    try:
        content = load_tensors(path)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as a checkpoint (damaged, or holding more than tensors)") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} is no checkpoint of this program; files of weights alone go to weights.path=FILE")
    return content
