"""The names of the files that a run and a sweep write, by which their folders are recognised."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from vision2.basics.errors import UserError

CONFIG, SPLIT, METRICS, SUMMARY = "config.yaml", "split.json", "metrics.jsonl", "summary.json"
BEST, LAST = "best.pt", "last.pt"  # checkpoints: to predict with, to resume from
PREDICTIONS = "predictions.npz"
EPISODES = "episodes.npz"  # instead of predictions, if the data set is split by class
RUN_RECORDS = frozenset({SPLIT, METRICS, SUMMARY})
SWEEP_RECORD = "sweep.json"


def is_run_folder(files: Collection[str]) -> bool:
    """Whether the names of a folder's files show that a run wrote it, so that nothing in it is the user's."""
    return CONFIG in files and not RUN_RECORDS.isdisjoint(files)


def checkpoint_file(place: str | Path) -> Path:
    """The file of a checkpoint given as a path; for a run folder, its best.pt.

    Raises:
        UserError: when there is none.
    """
    path = Path(place).expanduser()
    path = path / BEST if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; give a run folder, or the {BEST} or {LAST} in it")
    return path
