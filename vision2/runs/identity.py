"""When two runs are the same run: equal configurations, apart from where results go and how they are reported."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path

from vision2.runs.read import read_runs
from vision2.runs.records import plain

NOT_PART_OF_IT = (
    "output_dir", "resume", "checkpoint", "skip_finished", "device", "report", "experiment",
    "dataset.cache", "dataset.cache_dir", "dataset.cache_gb", "dataset.workers", "dataset.download",
)  # fmt: skip


def config_hash(config: dict) -> str:
    """16 hex digits over the nested configuration, without `NOT_PART_OF_IT`."""
    config = copy.deepcopy(plain(config))
    for key in NOT_PART_OF_IT:
        section, _, name = key.rpartition(".")
        (config.get(section, {}) if section else config).pop(name, None)
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def finished_run(parent: Path, wanted: str) -> Path | None:
    """The newest completed run below `parent` whose configuration has the hash `wanted`."""
    runs, _ = read_runs(parent) if parent.is_dir() else ([], [])
    same = [run.path for run in runs if run.completed and run.summary.get("config_hash") == wanted]
    return max(same, key=lambda path: path.name, default=None)
