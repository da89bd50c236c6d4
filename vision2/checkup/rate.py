"""The learning-rate range test: the rate grows with every step, and the loss shows which rates help and which do harm."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from vision2.basics.atomic_write import replacing
from vision2.checkup.finding import Finding, judged, worst
from vision2.checkup.restoring import some, training
from vision2.data.batches import Batch
from vision2.training.learner import Learner

PART = "learning rate"
LOWEST, HIGHEST = 1e-4, 10.0
STEPS, LEAST_STEPS, SECONDS = 90, 30, 8.0
IMAGES = 32  # of each batch
SMOOTHING = 0.8  # share of the old value in the running mean of the losses
TOO_LOW = 1000  # a rate this many times below that of the lowest loss learns hardly anything in a short run
LOST = 1.3  # times the loss at the start; less than that is the noise of small batches
MARGIN = 2  # above the rate that does harm: a warm-up helps up to there


@dataclass(frozen=True)
class RangeTest:
    """Rates (N,) and smoothed losses (N,) of the steps.

    `best` is the rate of the lowest loss; `too_high` the first one above it that undoes what was learned, if any was tried.
    """

    rates: np.ndarray
    losses: np.ndarray
    best: float
    too_high: float | None


def range_test(learner: Learner, batches: Sequence[Batch]) -> RangeTest:
    """Train with rates that grow exponentially from step to step, and restore the learner (Smith 2017, section 3.3).

    The rate grows by a factor rather than linearly, so that one test covers five decades.
    """
    highest = max(HIGHEST, 2 * learner.strategy.lr)
    rates, losses, running, start = [], [], 0.0, time.perf_counter()
    pieces = [some(batch, IMAGES) for batch in batches if len(batch.labels) > 1]
    with training(learner):
        rate = min(LOWEST, learner.strategy.lr / 10 or LOWEST)
        factor = (highest / rate) ** (1 / STEPS)
        for step, batch in enumerate(cycle(pieces), start=1):
            loss = float(learner.step(batch, rate).plain)
            if not math.isfinite(loss):
                rates.append(rate)
                losses.append(math.inf)
                break
            running = SMOOTHING * running + (1 - SMOOTHING) * loss
            rates.append(rate)
            losses.append(running / (1 - SMOOTHING**step))
            if losses[-1] > 4 * losses[0] or rate >= highest:
                break
            if step == 5:  # a slow network gets fewer steps
                left = (SECONDS - (time.perf_counter() - start)) / ((time.perf_counter() - start) / 5)
                factor = (highest / rate) ** (1 / max(LEAST_STEPS, min(STEPS - 5, left)))
            rate = min(rate * factor, highest)
    return judge_losses(np.array(rates), np.array(losses))


def judge_losses(rates: np.ndarray, losses: np.ndarray) -> RangeTest:
    """The rate of the lowest loss and the first one after it that has lost all that was gained."""
    lowest = int(np.nanargmin(losses))
    gone = [i for i in range(lowest, len(losses)) if losses[i] > LOST * losses[0]]
    return RangeTest(rates, losses, float(rates[lowest]), float(rates[gone[0]]) if gone else None)


def check_rate(found: RangeTest, lr: float) -> Finding:
    """Whether the configured rate is within the region that the test found."""
    fell = bool(np.nanmin(found.losses) < 0.97 * found.losses[0])
    limit = found.too_high or np.inf
    low = fell and lr < found.best / TOO_LOW
    region = f"the loss falls up to {found.best:.2g}" if fell else "the loss hardly falls at any rate in so few steps"
    region += (
        f" and has lost its gain at {found.too_high:.2g}"
        if found.too_high
        else f"; up to {found.rates[-1]:.2g}, no rate does harm"
    )
    return judged(
        PART, "learning-rate range test", worst(lr >= MARGIN * limit, low or lr >= limit),
        seen=f"strategy.lr is {lr:g}; {region}",
        why="a rate that is too high undoes what was learned, one that is too low learns nothing in the time there is",
        todo=f"try strategy.lr={found.best / 3:.1g}, and look at learning_rate.png",
    )  # fmt: skip


def draw_range_test(found: RangeTest, lr: float, file: Path) -> None:
    """The loss against the rate, on a logarithmic axis, with the configured rate."""
    from matplotlib.figure import Figure

    from vision2.pictures.plots import colour, style_axes

    figure = Figure(figsize=(4.8, 3.3), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    style_axes(axes)
    shown = np.isfinite(found.losses)
    axes.plot(found.rates[shown], found.losses[shown], color=colour(0), label="loss (running mean)")
    axes.axvline(lr, color=colour(1), linestyle="--", label=f"configured: {lr:g}")
    axes.axvline(found.best, color=colour(2), linestyle=":", label=f"lowest loss: {found.best:.2g}")
    if found.too_high:
        axes.axvspan(found.too_high, max(found.rates[-1], lr), color=colour(3), alpha=0.2, label="too high")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss on training batches")
    axes.set_ylim(top=min(np.max(found.losses[shown]), 2 * found.losses[0]) * 1.05)
    axes.legend(fontsize=8)
    with replacing(file) as temporary:
        figure.savefig(temporary, format="png")
