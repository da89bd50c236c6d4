"""The learning rate as a pure function of the step, so that there is no state to save or restore."""

from __future__ import annotations

import math

from vision2.training.settings import TrainConfig


def rate_factor(step: int, *, steps_per_epoch: int, train: TrainConfig) -> float:
    """The factor applied to the base learning rate in optimiser step `step`, counted from 0.

    After a linear warm-up from 1/(warm-up steps), the rate follows a cosine to zero (Loshchilov and Hutter 2017, eq. 5,
    without restarts), is multiplied by `gamma` at the milestones (shares of the schedule), or stays constant. The schedule
    spans the whole run unless `train.schedule_epochs` sets its length; later steps keep its final factor.
    """
    total = max(1, (train.schedule_epochs or train.epochs) * steps_per_epoch)
    step = min(step, total - 1)
    warmup = min(total - 1, round(train.warmup_epochs * steps_per_epoch))
    if step < warmup:
        return (step + 1) / warmup
    if train.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
    if train.schedule == "step":
        return train.gamma ** sum(step >= milestone * total for milestone in train.milestones)
    return 1.0


def rise_on_resume(before: TrainConfig, now: TrainConfig, *, epochs_done: int) -> str | None:
    """A warning if resuming with a different `train.epochs` would raise the learning rate again, else None."""
    if epochs_done == 0 or now.epochs <= epochs_done:
        return None
    steps = 100  # per epoch; the shape does not depend on it
    last = rate_factor(epochs_done * steps - 1, steps_per_epoch=steps, train=before)
    first = rate_factor(epochs_done * steps, steps_per_epoch=steps, train=now)
    if first <= 1.5 * last:
        return None
    length = before.schedule_epochs or before.epochs
    return (
        f"warning: with train.epochs={now.epochs} the learning rate rises again, from {last:.2g} to {first:.2g} times"
        f" strategy.lr, because the schedule spans the whole run; train.schedule_epochs={length} keeps its original length and"
        " continues at its final rate"
    )
