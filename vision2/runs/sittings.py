"""How often a run was resumed, and with which changes: part of what its result is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vision2.runs.identity import NOT_PART_OF_IT
from vision2.runs.records import flatten, plain


def sittings_of(config: Any, saved: dict | None) -> list[dict]:
    """One entry for each stretch of epochs under one configuration, the last one being what follows now.

    A run that is resumed as it was (after a kill) stays one sitting: its result equals the uninterrupted one.

    Args:
        config: the configuration of this sitting, a dataclass.
        saved: the checkpoint that is resumed; None for a fresh run.
    """
    now = flatten(plain(asdict(config)))
    if saved is None:
        return [{"from_epoch": 1, "epochs": now["train.epochs"], "changes": {}}]
    before = flatten(plain(saved["config"]))
    sittings = list(saved.get("sittings") or [{"from_epoch": 1, "epochs": before["train.epochs"], "changes": {}}])
    kept = tuple(f"{key}." for key in NOT_PART_OF_IT)
    changes = {
        key: [before.get(key), value]
        for key, value in now.items()
        if before.get(key) != value and not f"{key}.".startswith(kept) and key in before
    }
    if changes:
        sittings.append({"from_epoch": saved["state"]["epoch"] + 1, "epochs": now["train.epochs"], "changes": changes})
    return sittings
