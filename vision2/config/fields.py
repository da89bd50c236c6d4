"""What the schema says about one dotted key: does it exist, which values does it take."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

from vision2.basics.errors import suggest
from vision2.config.schema import Config


def leaves(section: type = Config, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field]]:
    """Every settable key as (dotted name, field)."""
    hints = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from leaves(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, field


LEAVES = dict(leaves())


def unknown_key(key: str) -> str | None:
    """The problem with a dotted key, or None: it must be a leaf of the schema or one of its sections."""
    if key in LEAVES or any(leaf.startswith(key + ".") for leaf in LEAVES):
        return None
    inside = next((leaf for leaf in LEAVES if key.startswith((f"{leaf}.", f"{leaf}["))), None)
    if inside:
        return f"'{key}' is a part of {inside}, but {inside} is given as a whole: {inside}=VALUE"
    by_last_name = [leaf for leaf in LEAVES if leaf.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
    if by_last_name:
        return f"unknown key '{key}', did you mean '{by_last_name[0]}'?"
    section = key.rsplit(".", 1)[0] + "."
    siblings = [leaf for leaf in LEAVES if leaf.startswith(section)]
    return f"unknown key '{key}'{suggest(key, siblings or LEAVES)}"


def no_leaf(key: str) -> str | None:
    """The problem with setting a known key that is a section, or None for a leaf."""
    if key in LEAVES:
        return None
    first = next(leaf for leaf in LEAVES if leaf.startswith(key + "."))
    return f"{key} is a group of settings; set one of them, e.g. {first}=VALUE"


def value_problem(key: str, value: Any) -> str | None:
    """The problem with one value of a leaf (choice or range), or None. Types were checked by the schema."""
    metadata = LEAVES[key].metadata
    choices = metadata.get("choices")
    if choices and value not in choices:
        near = suggest(str(value), choices)
        allowed = "" if near.startswith("; allowed") else f" (allowed: {', '.join(choices)})"
        return f"{key} is '{value}'{near}{allowed}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = metadata.get("at_least"), metadata.get("at_most")
        if (low is not None and value < low) or (high is not None and value > high):
            bounds = f"at least {low}" if high is None else f"between {low} and {high}"
            return f"{key} is {value}, it must be {bounds}"
        if value != value or value in (float("inf"), float("-inf")):
            return f"{key} is {value}, it must be a finite number"
    return None


def get(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def problems_of_values(config: Config) -> list[str]:
    """Every leaf of a parsed configuration against its choices and range."""
    found = (value_problem(key, get(config, key)) for key in LEAVES)
    return [problem for problem in found if problem]
