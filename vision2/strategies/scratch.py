"""Everything learns at the same rate, from a random start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision2.strategies import finetune

if TYPE_CHECKING:
    from vision2.training.fit import Fit, Task

TRAINS_BACKBONE = True
problems, rules = finetune.problems, finetune.rules  # only the starting point differs


def start(task: Task) -> Fit:
    return finetune.start(task)
