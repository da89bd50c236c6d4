"""What a check returns: plain data, for the table, the JSON file and the exit code."""

from __future__ import annotations

from typing import NamedTuple

PASSED, WARNING, FAILED = OUTCOMES = ("passed", "warning", "failed")


class Finding(NamedTuple):
    """The outcome of one check; `todo` is empty if the check passed."""

    part: str  # environment | data | network | learning rate
    name: str
    outcome: str  # one of OUTCOMES
    seen: str
    why: str
    todo: str = ""


def judged(part: str, name: str, outcome: str, *, seen: str, why: str, todo: str) -> Finding:
    """A finding that keeps its advice only if something is to be done."""
    return Finding(part, name, outcome, seen, why, "" if outcome == PASSED else todo)


def worst(failed: bool, warned: bool = False) -> str:
    """The outcome of two conditions, of which the first is the graver one."""
    return FAILED if failed else WARNING if warned else PASSED
