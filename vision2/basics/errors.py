"""The one exception for what a user can get wrong, and the "did you mean" every message uses."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A mistake the user can mend: shown as one line a problem, without a trace, with exit code 2."""

    def __init__(self, *problems: str):
        super().__init__("\n".join(problems))
        self.problems = problems


class TrainingDiverged(UserError):
    """The loss stopped being a finite number."""


def suggest(given: str, allowed: Iterable[str]) -> str:
    """`, did you mean 'resnet50'?` when something allowed is near, else the list of what is allowed."""
    allowed = list(allowed)
    near = get_close_matches(str(given), allowed, n=1, cutoff=0.6)
    if near:
        return f", did you mean '{near[0]}'?"
    shown = ", ".join(sorted(allowed)[:40])
    return f"; allowed: {shown}" if allowed else ""
