"""Decide whether two runs have the same result.

Equal settings are not enough: images can be added, labels swapped, a weights file replaced, a run resumed to more epochs.
`skip_finished`, `compare`, `experiment.before` and the grouping by seed all use this module.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from vision2.runs.read import read_runs
from vision2.runs.records import plain

ARITHMETIC = 2  # version of the computation; increase it when equal settings and data give other results
NOT_PART_OF_IT = (
    "output_dir", "resume", "checkpoint", "skip_finished", "device", "report", "experiment", "prediction",
    "dataset.cache", "dataset.cache_dir", "dataset.cache_gb", "dataset.workers", "dataset.download",
)  # fmt: skip
NEWER = (("", "fault"), ("dataset", "split_seed"))  # null means the same as in the runs of versions without these settings


def config_hash(config: dict) -> str:
    """Return 16 hex digits that identify the nested configuration, ignoring the keys in `NOT_PART_OF_IT`."""
    config = copy.deepcopy(plain(config))
    for key in NOT_PART_OF_IT:
        section, _, name = key.rpartition(".")
        (config.get(section, {}) if section else config).pop(name, None)
    for section, key in NEWER:
        settings = config.get(section, {}) if section else config
        if settings.get(key) is None:
            settings.pop(key, None)
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def identity_of(
    config: dict, *, data: str, weights: str | None, precision: str, lengths: Sequence[int], world_size: int = 1
) -> dict:
    """Return everything that a result depends on.

    Args:
        data: the digest of classes, images and labels; the split follows from it and the seed.
        weights: SHA-256 of the loaded file; None for random initial weights.
        precision: the number format that was actually used.
        lengths: `train.epochs` of each sitting, [10, 20] for ten epochs that were resumed to twenty: if the schedule spans
            the whole run, the result is not that of an uninterrupted run of twenty epochs.
        world_size: the number of processes, each of which normalises its own part of a batch and has its own dropout.
    """
    return {
        "config": config_hash(config),
        "data": data,
        "weights": weights,
        "arithmetic": ARITHMETIC,
        "precision": precision,
        "lengths": list(lengths),
        "world_size": world_size,
    }


def finished_run(
    parent: Path, config: dict, current: Callable[[], tuple[str, str | None]], precisions: Collection[str]
) -> Path | None:
    """The newest completed run below `parent` with this configuration and the current data and weights.

    Args:
        current: returns (digest of the data, SHA-256 of the weights); called only if a run with these settings exists.
    """
    runs, _ = read_runs(parent) if parent.is_dir() else ([], [])
    lengths = [config["train"]["epochs"]]
    wanted = {"config": config_hash(config), "arithmetic": ARITHMETIC, "lengths": lengths, "world_size": 1}
    same = [run for run in runs if run.completed and _agrees(run.summary.get("identity"), wanted)]
    same = [run for run in same if run.summary["identity"].get("precision") in precisions]
    if same:
        wanted |= dict(zip(("data", "weights"), current(), strict=True))
        same = [run for run in same if _agrees(run.summary["identity"], wanted)]
    return max((run.path for run in same), key=lambda path: path.name, default=None)


def _agrees(identity: Any, wanted: dict) -> bool:
    return isinstance(identity, dict) and all(identity.get(key) == value for key, value in wanted.items())


def beyond_the_configuration(summary: dict) -> dict[str, Any]:
    """What distinguishes groups besides their settings: data, number format, sittings. Empty for runs of an older version.

    The weights are left out, because each seed may transfer from its own source run.
    """
    identity = summary.get("identity")
    if not isinstance(identity, dict):
        return {}
    resumed = identity["lengths"] if len(identity["lengths"]) > 1 else None
    processes = identity.get("world_size", 1)
    shared = {"processes": processes} if processes > 1 else {}
    return {"data": identity["data"], "precision": identity["precision"], "resumed": resumed} | shared
