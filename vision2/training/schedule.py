"""The learning rate as a pure function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from vision2.training.settings import TrainConfig


def rate_factor(step: int, *, steps_per_epoch: int, train: TrainConfig) -> float:
    """What the base rate is multiplied by in optimiser step `step` (0-based).

    Linear warm-up from 1/(warm-up steps), then cosine to zero (Loshchilov and Hutter 2017, eq. 5, without restarts),
    steps of `gamma` at the milestones (shares of the run), or constant.
    """
    total = max(1, train.epochs * steps_per_epoch)
    warmup = min(total - 1, round(train.warmup_epochs * steps_per_epoch))
    if step < warmup:
        return (step + 1) / warmup
    if train.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
    if train.schedule == "step":
        return train.gamma ** sum(step >= milestone * total for milestone in train.milestones)
    return 1.0
