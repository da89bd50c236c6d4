"""When two results are the same result: the one place that says it.

Equal settings are not enough: images can be added, labels swapped, a weights file replaced, a run resumed to more epochs.
`skip_finished`, `compare`, `experiment.before` and the grouping by seed all ask here.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vision2.runs.read import read_runs
from vision2.runs.records import plain

ARITHMETIC = 2  # version of what turns settings and data into numbers; raise it when results of equal settings change
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


def identity_of(config: dict, *, data: str, weights: str | None, precision: str, lengths: Sequence[int]) -> dict:
    """What a result depends on.

    Args:
        data: the digest of classes, images and labels; the split follows from it and the seed.
        weights: SHA-256 of the file that was loaded; None for a random start.
        precision: the number format that was really used.
        lengths: `train.epochs` of each sitting, [10, 20] for ten epochs that were resumed to twenty: with a schedule over
            the whole run that is not a run of twenty epochs.
    """
    return {
        "config": config_hash(config),
        "data": data,
        "weights": weights,
        "arithmetic": ARITHMETIC,
        "precision": precision,
        "lengths": list(lengths),
        "world_size": 1,
    }


def finished_run(parent: Path, config: dict, current: Callable[[], tuple[str, str | None]]) -> Path | None:
    """The newest completed run below `parent` that is the result of this configuration on the data as they are now.

    Args:
        current: (digest of the data, SHA-256 of the weights), asked only when a run with these settings exists.
    """
    runs, _ = read_runs(parent) if parent.is_dir() else ([], [])
    wanted = {"config": config_hash(config), "arithmetic": ARITHMETIC, "lengths": [config["train"]["epochs"]]}
    same = [run for run in runs if run.completed and _agrees(run.summary.get("identity"), wanted)]
    if same:
        wanted |= dict(zip(("data", "weights"), current(), strict=True))
        same = [run for run in same if _agrees(run.summary["identity"], wanted)]
    return max((run.path for run in same), key=lambda path: path.name, default=None)


def _agrees(identity: Any, wanted: dict) -> bool:
    return isinstance(identity, dict) and all(identity.get(key) == value for key, value in wanted.items())


def beyond_the_configuration(summary: dict) -> dict[str, Any]:
    """What else distinguishes groups of runs: data, number format, sittings. Absent in runs of an older version.

    The weights are not listed: each seed may transfer from its own source run.
    """
    identity = summary.get("identity")
    if not isinstance(identity, dict):
        return {}
    resumed = identity["lengths"] if len(identity["lengths"]) > 1 else None
    return {"data": identity["data"], "precision": identity["precision"], "resumed": resumed}
