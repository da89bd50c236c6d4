"""The entries of a summary that are read later, by type: another version or program may have written the file."""

from __future__ import annotations

from typing import Any

from vision2.runs.records import look_up

# an entry may also be absent or null
TYPES = {
    **dict.fromkeys(("config.model", "config.strategy", "config.dataset", "config.experiment"), dict),
    **dict.fromkeys(("metrics", "metrics.test", "metrics.val", "metrics.train"), dict),
    **dict.fromkeys(("data", "data.copies_in_train", "data.counts", "data.counts.train"), dict),
    **dict.fromkeys(("identity", "weights", "classifier"), dict),
    **dict.fromkeys(("lineage", "trainable_map", "classes", "metrics.test.per_class", "metrics.val.per_class"), list),
    **dict.fromkeys(("metrics.test.calibration", "metrics.test.confusion"), list),
}
# the keys of a mapping, or of every mapping in a list or in a mapping of mappings
KEYS = {
    "config.dataset": {"name"},
    "identity": {"data", "precision", "lengths"},
    "lineage": {"run"},
    "trainable_map": {"stage", "parameters", "learning", "batchnorm", "lr"},
    "metrics.test.per_class": {"n", "f1"},
    "metrics.val.per_class": {"n"},
    "metrics.test.calibration": {"low", "n", "accuracy", "confidence"},
    "data.copies_in_train": {"count"},
}
MAPPINGS_BY_SPLIT = ("data.copies_in_train",)


def unexpected_entry(summary: dict) -> str | None:
    """The dotted key of the first entry that is not as this version writes it, or None."""
    for key, kind in TYPES.items():
        value = look_up(summary, key)
        if value is not None and not (isinstance(value, kind) and all(_has(part, KEYS[key]) for part in _parts(key, value))):
            return key
    return None


def _parts(key: str, value: Any) -> list[Any]:
    """The mappings that must have the `KEYS`."""
    if key not in KEYS:
        return []
    if isinstance(value, list):
        return value
    return list(value.values()) if key in MAPPINGS_BY_SPLIT else [value]


def _has(part: Any, keys: set[str]) -> bool:
    return isinstance(part, dict) and part.keys() >= keys
