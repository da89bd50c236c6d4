"""Faults in the training step. Each function changes a fit that is ready to run."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from torch import Tensor, nn

from vision2.basics.errors import UserError
from vision2.models.network import Output
from vision2.training.epochs import EpochFit, fit_on_images
from vision2.training.fit import Fit, Task
from vision2.training.parameter_plan import BATCH_NORMS


def start_fit(fault: str | None, strategy: ModuleType, task: Task) -> Fit:
    """Set up the strategy's fit, with this fault if there is one.

    With a fault, images pass through the whole network in every epoch: outputs of frozen stages that were stored once would
    hide what goes wrong in these stages or in the batches of images.
    """
    if fault is None:
        return strategy.start(task)
    fit = fit_on_images(task, strategy.rules(task.strategy, task.network.stages))
    if fault in FIT_FAULTS:
        FIT_FAULTS[fault](fit)
    return fit


def bn_not_frozen(fit: EpochFit) -> None:
    """Frozen batch-norm layers in training mode: they use the statistics of each batch and update their running ones.

    Raises:
        UserError: if the network has no batch norm.
    """
    network, learner = fit.network, fit.learner
    norms = [module for module in network.modules() if isinstance(module, BATCH_NORMS)]
    if not norms:
        raise UserError(f"fault=bn_not_frozen needs batch norm, which {network.name} does not have; choose another model")
    correct = learner.forward

    def forward(images: Tensor) -> Output:
        for norm in norms:
            norm.train()
        return correct(images)

    learner.foldable = ()  # with statistics that move, a norm is no fixed part of its convolution
    learner.forward = forward


def double_softmax(fit: EpochFit) -> None:
    """Probabilities instead of logits, of which cross-entropy takes the softmax again; evaluation is correct."""
    learner = fit.learner
    correct: Callable[[Tensor], Output] | nn.Module = learner.forward

    def forward(images: Tensor) -> Output:
        output = correct(images)
        return Output(output.logits.softmax(1), {name: logits.softmax(1) for name, logits in output.aux.items()})

    learner.forward = forward


FIT_FAULTS = {"bn_not_frozen": bn_not_frozen, "double_softmax": double_softmax}
