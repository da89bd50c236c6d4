"""Declare what a setting accepts: plain dataclass fields whose metadata the checks and the documentation read.

The comment after a field becomes its meaning in docs/configuration.md.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any


def choice(default: Any, *allowed: str) -> Any:
    """A field that accepts only the values in `allowed`."""
    return field(default=default, metadata={"choices": allowed})


def number(default: Any, at_least: float | None = None, at_most: float | None = None) -> Any:
    """A numeric field with inclusive bounds."""
    return field(default=default, metadata={"at_least": at_least, "at_most": at_most})
