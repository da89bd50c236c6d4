"""Try a learner out and leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from vision2.data.batches import Batch
from vision2.training.learner import Learner
from vision2.training.parameter_plan import apply_phase, set_training_mode


class Fixed:
    """The same batches in every epoch, for `Learner.train_epoch`."""

    def __init__(self, batches: Sequence[Batch]):
        self.batches = list(batches)

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, _epoch: int, _place=None) -> Iterator[Batch]:
        return iter(self.batches)


@contextmanager
def restored(learner: Learner, *, seed: int = 0) -> Iterator[None]:
    """Weights, statistics, modes and the state of the optimiser are afterwards what they were before."""
    network, optimizer = learner.network, learner.optimizer
    state = {name: value.clone() for name, value in network.state_dict().items()}
    modes = {module: module.training for module in network.modules()}
    learns = {parameter: parameter.requires_grad for parameter in network.parameters()}
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        network.load_state_dict(state)
        for module, training in modes.items():
            module.training = training
        for parameter, wanted in learns.items():
            parameter.requires_grad_(wanted)
            parameter.grad = None
        optimizer.state.clear()


@contextmanager
def training(learner: Learner, epoch: int = 1) -> Iterator[None]:
    """The state in which an epoch trains; restored afterwards."""
    with restored(learner):
        apply_phase(learner.network, learner.plan, epoch)
        set_training_mode(learner.network, learner.strategy)
        yield


def some(batch: Batch, count: int) -> Batch:
    """The first images of a batch, with plain labels as targets."""
    labels = batch.labels[:count]
    return Batch(batch.images[:count], labels, labels, batch.indices[:count])
