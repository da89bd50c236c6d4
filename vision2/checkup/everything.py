"""All checks of a task and its fit, in order."""

from __future__ import annotations

from collections.abc import Iterator

from vision2.checkup.batches import check_batches, first_batches
from vision2.checkup.data import check_data
from vision2.checkup.finding import Finding
from vision2.checkup.learning import check_learning
from vision2.checkup.network import check_network
from vision2.checkup.rate import RangeTest, check_rate, range_test
from vision2.checkup.restoring import some
from vision2.features.compute import features_cache
from vision2.training.epochs import EpochFit
from vision2.training.fit import Task

RANGE_BATCHES = 8
IMAGES = 32  # of the batch that the network is tried on


def check_task(task: Task) -> Iterator[Finding]:
    """The splits and the batches."""
    folder = features_cache(task.dataset)
    yield from check_data(task.data, folder and folder / "ids")
    yield from check_batches(task.data, task.images, task.network.preprocessing)


def check_fit(task: Task, fit: EpochFit, *, new_head: bool) -> tuple[list[Finding], RangeTest | None]:
    """The network, its loss and updates, and its learning rate; None where the rate is not used on images in epochs."""
    learner, batches = fit.learner, first_batches(task.images["train"], RANGE_BATCHES)
    batch = some(batches[0], IMAGES)
    findings = check_network(learner, batch, new_head=new_head)
    findings += check_learning(learner, batch, new_head=new_head)
    if task.strategy.name == "feature_extraction" and task.strategy.features == "once":
        return findings, None  # fitted at once, or trained on standardised features
    found = range_test(learner, batches)
    return [*findings, check_rate(found, learner.strategy.lr)], found
