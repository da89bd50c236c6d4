"""What a run writes: config.yaml, split.json, metrics.jsonl (one line per epoch), summary.json."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from vision2.basics.atomic_write import append_line, replacing, write_json, write_text
from vision2.basics.run_files import CONFIG, EPISODES, METRICS, SPLIT, SUMMARY

EVENTS, ERROR = "events.out.tfevents.*", "error.txt"


def plain(value: Any) -> Any:
    """Convert a value to the types of strict JSON: NaN and infinities become None, NumPy scalars numbers, paths text."""
    if type(value) in (str, int):  # most values: an image's id or label
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy and torch, scalars and arrays, without importing either
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def look_up(values: Any, key: str) -> Any:
    """The value under a dotted key of nested dicts; None if it is absent."""
    for name in key.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def flatten(config: dict, prefix: str = "") -> dict[str, Any]:
    """{"model": {"name": "a"}} -> {"model.name": "a"}; lists become text so that values can be compared and shown."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = json.dumps(value) if isinstance(value, list) else value
    return flat


class RunRecord:
    """The files of one run folder. Each is written completely or not at all; `log_epoch` flushes its line to the file."""

    def __init__(self, run_dir: str | Path):
        self.run_dir = Path(run_dir)

    def remove_earlier_attempt(self) -> None:
        """Delete what an attempt that finished no epoch may have left, so that none of it is taken for this run's."""
        for pattern in (METRICS, "*.pt", EVENTS, ERROR):
            for file in self.run_dir.glob(pattern):
                file.unlink(missing_ok=True)

    def write_config(self, config: dict) -> None:
        write_text(self.run_dir / CONFIG, yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True))

    def write_split(self, split: dict) -> None:
        write_json(self.run_dir / SPLIT, plain(split))

    def split(self) -> dict:
        return json.loads((self.run_dir / SPLIT).read_text(encoding="utf-8"))

    def log_epoch(self, record: dict) -> None:
        append_line(self.run_dir / METRICS, json.dumps(plain(record), allow_nan=False, ensure_ascii=False))

    def history(self) -> list[dict]:
        """The epochs so far, oldest first; a last line that a kill left incomplete is ignored."""
        return read_history(self.run_dir / METRICS)

    def resume_after(self, epoch: int) -> None:
        """Drop the lines logged after `epoch` (1-based; 0 drops all), so that a resumed run logs no epoch twice."""
        kept = [record for record in self.history() if record["epoch"] <= epoch]
        write_text(self.run_dir / METRICS, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept))

    def write_episodes(self, accuracies: Mapping[str, Any]) -> None:
        """Write the accuracy in each test episode, by kind of episode, so that runs can be compared in pairs."""
        import numpy as np

        with replacing(self.run_dir / EPISODES) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **accuracies)

    def write_summary(self, summary: dict) -> None:
        write_json(self.run_dir / SUMMARY, plain(summary))

    def summary(self) -> dict:
        return json.loads((self.run_dir / SUMMARY).read_text(encoding="utf-8"))


def read_history(path: Path) -> list[dict]:
    """Epoch records of a metrics.jsonl; [] if it does not exist yet.

    Raises:
        ValueError: if a line before the last one is broken, which an interrupted write cannot cause.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or not isinstance(record.get("epoch"), int):
                raise ValueError("not an epoch record")
        except ValueError as error:
            if number == len(lines):
                break
            raise ValueError(f"line {number} of {path.name} is broken") from error
        records.append(record)
    return records
