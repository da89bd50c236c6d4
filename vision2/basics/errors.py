"""The exception for mistakes that users can correct, its "did you mean" suggestions, and the detection of full disks."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import TypeVar

from vision2.basics.safe_text import printable_lines

Item, Result = TypeVar("Item"), TypeVar("Result")


class UserError(Exception):
    """A mistake that the user can correct: shown as one line per problem, without a traceback, with exit code 2."""

    def __init__(self, *problems: str):
        problems = tuple(map(printable_lines, problems))  # they quote names of files and classes
        super().__init__("\n".join(problems))
        self.problems = problems


class TrainingDiverged(UserError):
    """The loss became NaN or infinite."""


DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_disk_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in DISK_FULL


def suggest(given: str, allowed: Iterable[str], *, otherwise: str | None = None) -> str:
    """`, did you mean 'resnet50'?` if an allowed value is close, else `otherwise`, by default the list of allowed values."""
    allowed = list(allowed)
    near = get_close_matches(str(given), allowed, n=1, cutoff=0.6)
    if near:
        return f", did you mean '{near[0]}'?"
    if otherwise is not None:
        return otherwise
    return f"; allowed: {first_few(sorted(allowed), 40)}" if allowed else ""


def first_few(names: Sequence[str], shown: int) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def try_all(make: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply `make` to each item.

    Raises:
        UserError: with every problem of every item, without duplicates.
    """
    made, problems = [], {}
    for item in items:
        try:
            made.append(make(item))
        except UserError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise UserError(*problems)
    return made
