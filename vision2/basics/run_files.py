"""The names of the files that a run and a sweep write, by which their folders are recognised."""

from __future__ import annotations

from collections.abc import Collection

CONFIG, SPLIT, METRICS, SUMMARY = "config.yaml", "split.json", "metrics.jsonl", "summary.json"
BEST, LAST = "best.pt", "last.pt"  # checkpoints: to predict with, to resume from
PREDICTIONS = "predictions.npz"
RUN_RECORDS = frozenset({SPLIT, METRICS, SUMMARY})
SWEEP_RECORD = "sweep.json"


def is_run_folder(files: Collection[str]) -> bool:
    """Whether the names of a folder's files show that a run wrote it, so that nothing in it is the user's."""
    return CONFIG in files and not RUN_RECORDS.isdisjoint(files)
