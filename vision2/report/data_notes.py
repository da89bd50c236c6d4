"""Warnings about the data of the runs: they have changed since, or the training split has copies of evaluation images."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.data.dataset import data_digest
from vision2.data.settings import AugmentConfig, DatasetConfig
from vision2.report.document import Document, Text
from vision2.report.material import Material
from vision2.runs.read import Run


def add_data_notes(document: Document, material: Material) -> None:
    say = material.say
    changed = "The data in {root} have changed since some of these runs (images, classes or labels); run those again."
    notes = [say(changed, root=root) for root in changed_data(material.runs)]
    copied = "{count} {split} images of {root} are also in the training split, so the accuracy is overestimated."
    for root, split, count in sorted({found for run in material.runs for found in _copies(run)}):
        notes.append(say(copied, count=count, split=split, root=root))
    document.add(say("Data"), *map(Text, notes))


def _copies(run: Run) -> list[tuple[str, str, int]]:
    found = (run.summary.get("data") or {}).get("copies_in_train") or {}
    place = run.get("dataset.root") or run.get("dataset.name", "?")
    return [(place, split, copies["count"]) for split, copies in found.items() if copies["count"]]


def changed_data(runs: Iterable[Run]) -> list[str]:
    """Data set folders that have changed since a run read them, except those that are missing or cannot be read."""
    digests: dict[str, set[str]] = {}
    for run in runs:
        digest = (run.summary.get("data") or {}).get("digest")
        if digest and run.get("dataset.root"):
            digests.setdefault(json.dumps(run.config["dataset"], sort_keys=True), set()).add(digest)
    roots = (json.loads(settings)["root"] for settings, found in digests.items() if _others(found, _now(settings)))
    return list(dict.fromkeys(roots))


def _others(found: set[str], now: str | None) -> set[str]:
    return found - {now} if now is not None else set()


def _now(settings: str) -> str | None:
    """The current digest of the data; None if they cannot be read."""
    known = {field.name for field in fields(DatasetConfig)}
    values = {key: value for key, value in json.loads(settings).items() if key in known}
    try:
        config = DatasetConfig(**values | {"augment": AugmentConfig()})
        return data_digest(config) if Path(config.root).expanduser().exists() else None
    except (UserError, OSError, TypeError):
        return None
