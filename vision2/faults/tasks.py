"""Faults in the settings and batches of a task. Each function takes the correct task."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from vision2.basics.errors import UserError
from vision2.basics.place import ALONE, Place
from vision2.data.augment.view import View
from vision2.data.batches import Batch, Batches
from vision2.strategies.settings import RuleConfig
from vision2.training.fit import Task

TOO_HIGH = 100  # factor of the learning rate: the difference between fine-tuning and training from scratch


def spoilt_task(fault: str | None, task: Task) -> Task:
    """The task with this fault, or the same one if the fault lies elsewhere or there is none.

    Raises:
        UserError: for a fault in a run over several processes, whose batches and passes are others.
    """
    if fault is not None and task.ranks.size > 1:
        raise UserError(f"fault={fault} works in one process only; start it without torchrun")
    return TASK_FAULTS[fault](task) if fault in TASK_FAULTS else task


def wrong_normalisation(task: Task) -> Task:
    """Validation and test images in 0..1, without the mean and standard deviation of the training images."""
    preprocessing = replace(task.network.preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    images = dict(task.images)
    for split in ("val", "test"):
        images[split] = copy.copy(images[split])
        images[split].view = View(preprocessing, None, task.seed, len(task.data.classes))
    return replace(task, images=images)


def no_shuffle(task: Task) -> Task:
    """Training images in the order of a folder listing, class by class."""
    return replace(task, images=task.images | {"train": ClassByClass.of(task.images["train"])})


def lr_too_high(task: Task) -> Task:
    """A hundred times the configured learning rate."""
    return replace(task, strategy=replace(task.strategy, lr=TOO_HIGH * task.strategy.lr))


def frozen_head(task: Task) -> Task:
    """A head that is not trained, as if only the parameters of the backbone had been given to the optimiser."""
    head = RuleConfig("head.*", frozen=True)
    return replace(task, strategy=replace(task.strategy, rules=[head, *task.strategy.rules]))


class ClassByClass(Batches):
    """Training batches in the order of the classes, the same one in every epoch."""

    @classmethod
    def of(cls, batches: Batches) -> ClassByClass:
        """The same batches in the order of the classes."""
        made = cls.__new__(cls)
        vars(made).update(vars(batches))
        return made

    def epoch(self, epoch: int, place: Place = ALONE) -> Iterator[Batch]:
        parts = [slice(i * self.batch_size, (i + 1) * self.batch_size) for i in range(len(self))]
        return self.in_order(np.argsort(self.labels, kind="stable"), parts, epoch)


TASK_FAULTS = {
    "wrong_normalisation": wrong_normalisation,
    "no_shuffle": no_shuffle,
    "lr_too_high": lr_too_high,
    "frozen_head": frozen_head,
}
