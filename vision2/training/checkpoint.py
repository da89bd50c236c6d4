"""Checkpoints: dicts of tensors and plain Python values, written atomically and read without executing any code."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import torch

from vision2.basics.atomic_write import replacing
from vision2.basics.errors import UserError
from vision2.basics.run_files import LAST, checkpoint_file
from vision2.models.weights.read import READ_ERRORS, load_tensors
from vision2.models.weights.saved_network import PARTS, incomplete, require
from vision2.training.fit import Progress

FAILED_WRITE = ("PytorchStreamWriter", "inline_container")
# what a resumed run reads from its checkpoint, besides the state of its optimiser (see `restoring`)
RESUMED_FROM = {
    "classes": PARTS["classes"],
    "preprocessing": dict,
    "config": dict,
    "state": dict,
    "model": dict,
    "weights": dict | None,
    "lineage": list,
    "precision": str,
}
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
        UserError: when the file is damaged or incomplete.
    """
    path = Path(run_dir).expanduser() / LAST if run_dir else None
    if path is None or not path.is_file():
        return None
    content = load_checkpoint(path)
    require(content, RESUMED_FROM, path)
    state, known = content["state"], {field.name for field in fields(Progress)}
    if not isinstance(state.get("epoch"), int) or not state.keys() <= known:
        raise incomplete(path, "state")
    return content


@contextmanager
def restoring() -> Iterator[None]:
    """While the saved state of a run is loaded into its network and optimiser: turn a mismatch into a UserError."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
        raise UserError(
            f"the run cannot be resumed because its {LAST} does not fit it ({reason[:150]}); start a new run, or resume"
            " with the version of vision2 that wrote it"
        ) from error


def load_checkpoint(path: str | Path) -> dict:
    """Load a vision2 checkpoint as a dict, on the CPU.

    Raises:
        UserError: when the file is missing, damaged, or not a vision2 checkpoint.
    """
    path = checkpoint_file(path)
    try:
        content = load_tensors(path)
    except READ_ERRORS as error:
        raise UserError(
            f"{path} cannot be read as a checkpoint: it is damaged, or contains more than tensors;"
            " use another checkpoint or train again"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} is not a vision2 checkpoint; to load a file of weights only, use weights.path=FILE")
    return content


def saved_config(path: str | Path) -> dict:
    """The configuration, as plain values, of the run that wrote a checkpoint.

    Raises:
        UserError: when the file cannot be read or has none.
    """
    content = load_checkpoint(path)
    require(content, {"config": dict}, checkpoint_file(path))
    return content["config"]
