"""The sittings of a run (stretches of epochs under one configuration), which are part of the identity of its result."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vision2.runs.identity import NOT_PART_OF_IT
from vision2.runs.records import flatten, plain


def sittings_of(config: Any, saved: dict | None, world_size: int = 1) -> list[dict]:
    """Return one entry per sitting; the last one is about to start.

    Resuming with unchanged settings (after a kill) starts no new sitting: the result equals that of an uninterrupted run.
    Another number of processes starts one.

    Args:
        config: the configuration of this sitting, a dataclass.
        saved: the checkpoint to resume from; None for a new run.
        world_size: the number of processes.
    """
    now = flatten(plain(asdict(config)))
    if saved is None:
        return [{"from_epoch": 1, "epochs": now["train.epochs"], "changes": {}, "world_size": world_size}]
    before = flatten(plain(saved["config"]))
    sittings = list(saved.get("sittings") or [{"from_epoch": 1, "epochs": before["train.epochs"], "changes": {}}])
    ignored = tuple(f"{key}." for key in NOT_PART_OF_IT)
    changes = {
        key: [before.get(key), value]
        for key, value in now.items()
        if before.get(key) != value and not f"{key}.".startswith(ignored) and key in before
    }
    processes = sittings[-1].get("world_size", 1)
    if processes != world_size:
        changes["world_size"] = [processes, world_size]
    if changes:
        start = saved["state"]["epoch"] + 1
        sittings.append({"from_epoch": start, "epochs": now["train.epochs"], "changes": changes, "world_size": world_size})
    return sittings
