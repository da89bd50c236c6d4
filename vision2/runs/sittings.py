"""The sittings of a run (stretches of epochs under one configuration), which are part of the identity of its result."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vision2.runs.identity import NOT_PART_OF_IT
from vision2.runs.records import flatten, plain


def sittings_of(config: Any, saved: dict | None) -> list[dict]:
    """Return one entry per sitting; the last one is about to start.

    Resuming with unchanged settings (after a kill) starts no new sitting: the result equals that of an uninterrupted run.

    Args:
        config: the configuration of this sitting, a dataclass.
        saved: the checkpoint to resume from; None for a new run.
    """
    now = flatten(plain(asdict(config)))
    if saved is None:
        return [{"from_epoch": 1, "epochs": now["train.epochs"], "changes": {}}]
    before = flatten(plain(saved["config"]))
    sittings = list(saved.get("sittings") or [{"from_epoch": 1, "epochs": before["train.epochs"], "changes": {}}])
    ignored = tuple(f"{key}." for key in NOT_PART_OF_IT)
    changes = {
        key: [before.get(key), value]
        for key, value in now.items()
        if before.get(key) != value and not f"{key}.".startswith(ignored) and key in before
    }
    if changes:
        sittings.append({"from_epoch": saved["state"]["epoch"] + 1, "epochs": now["train.epochs"], "changes": changes})
    return sittings
