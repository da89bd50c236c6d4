"""Checks of a few updates: what moves, what does not, and whether a batch can be learned by heart."""

from __future__ import annotations

import math
import time
from contextlib import suppress

import torch

from vision2.basics.errors import TrainingDiverged, first_few
from vision2.checkup.finding import Finding, judged, worst
from vision2.checkup.restoring import Fixed, restored, some, training
from vision2.data.batches import Batch
from vision2.training.learner import Learner
from vision2.training.parameter_plan import BATCH_NORMS, stage_of

PART = "network"
LEARNED_BY_HEART = 16  # images
STEPS, SECONDS = 100, 6.0  # most steps and time for learning a batch by heart
ADAM_RATES = {"whole": 3e-3, "head": 3e-2}  # large for Adam: sixteen images need no care
GRADIENT_STEPS = 3  # a residual branch that starts at zero passes no gradient on before the first update


def check_learning(learner: Learner, batch: Batch, *, new_head: bool) -> list[Finding]:
    """The checks that update the network; it is restored afterwards."""
    return [
        check_gradients(learner, batch),
        check_head_learns(learner, new_head=new_head),
        check_frozen(learner, batch),
        check_by_heart(learner, batch),
    ]


def check_gradients(learner: Learner, batch: Batch) -> Finding:
    """Whether every parameter that should learn gets a gradient in the first steps."""
    wanted = {entry.name for entry in learner.plan if entry.learns_at(1)}
    parameters, silent = dict(learner.network.named_parameters()), set(wanted)
    with training(learner):
        for _ in range(GRADIENT_STEPS):
            output = learner.forward(batch.images)
            learner.objective(output, batch.targets).objective.backward()
            grads = {name: parameters[name].grad for name in wanted}
            silent -= {name for name, grad in grads.items() if grad is not None and bool(grad.abs().max() > 0)}
            with torch.no_grad():
                for name, grad in grads.items():
                    if grad is not None:  # a small step downhill, of whatever optimiser
                        parameters[name].sub_(1e-3 * grad / grad.norm().clamp_min(1e-12))
                    parameters[name].grad = None
    return judged(
        PART, "gradient reaches every parameter", worst(bool(silent)),
        seen=f"{len(wanted) - len(silent)} of {len(wanted)} trainable parameters get a gradient"
        + (f"; not {first_few(sorted(silent), 3)}" if silent else ""),
        why="a parameter without gradient never changes, although it counts as trained",
        todo="look for a detach, a no_grad or a branch that is not used; freeze what is not meant to learn",
    )  # fmt: skip


def check_head_learns(learner: Learner, *, new_head: bool) -> Finding:
    """Whether the optimiser has every parameter of the plan and, if it is new, of the head."""
    held = {id(parameter) for group in learner.optimizer.param_groups for parameter in group["params"]}
    parameters = dict(learner.network.named_parameters())
    planned = [entry.name for entry in learner.plan if entry.learns_from is not None and id(parameters[entry.name]) not in held]
    head = [name for name in parameters if name.startswith("head.") and id(parameters[name]) not in held] if new_head else []
    return judged(
        PART, "the head is trained", worst(bool(planned or head)),
        seen="the optimiser " + (f"lacks {first_few([*planned, *head], 3)}" if planned or head else "has them all"),
        why="a head with random weights that never change mixes up whatever the backbone learns",
        todo="give the head's parameters to the optimiser; leave out rules that freeze head.*",
    )  # fmt: skip


def check_frozen(learner: Learner, batch: Batch) -> Finding:
    """Whether everything frozen, batch-norm statistics included, is bit-identical after one update of the real loop."""
    frozen = frozen_names(learner)
    with restored(learner):
        before = {name: value.clone() for name, value in learner.network.state_dict().items() if name in frozen}
        with suppress(TrainingDiverged):  # the learning rate has its own check
            learner.train_epoch(Fixed([batch]), 1)
        after = learner.network.state_dict()
        moved = [name for name, value in before.items() if not torch.equal(value, after[name])]
    return judged(
        PART, "frozen parts stay", worst(bool(moved)),
        seen=f"{len(moved)} of {len(frozen)} frozen tensors moved in one step" + (f": {first_few(moved, 3)}" if moved else ""),
        why="batch-norm statistics that drift change the features of a backbone that is meant to stay as it is",
        todo="put frozen batch-norm layers into evaluation mode after every call of train()",
    )  # fmt: skip


def frozen_names(learner: Learner) -> set[str]:
    """Names in the state dict that must not change in the first epoch, from the plan and the settings alone."""
    network, plan = learner.network, {entry.name: entry for entry in learner.plan}
    frozen = {name for name, entry in plan.items() if not entry.learns_at(1)}
    learning = {entry.stage for entry in learner.plan if entry.learns_at(1)}
    for name, module in network.named_modules():
        if not isinstance(module, BATCH_NORMS):
            continue
        own = [f"{name}.{key}" for key, _ in module.named_parameters(recurse=False)]
        still = stage_of(name, network.stages) not in learning or (own and all(key in frozen for key in own))
        if still or (learner.strategy.batchnorm == "frozen" and name.startswith("backbone.")):
            frozen |= {f"{name}.{key}" for key, _ in module.named_buffers(recurse=False)}
    return frozen


def check_by_heart(learner: Learner, batch: Batch) -> Finding:
    """Whether a few images can be learned by heart: the loss falls to half in `STEPS` steps of Adam (Karpathy 2019, "overfit
    one batch").
    """
    few, losses = some(batch, LEARNED_BY_HEART), []
    names = {entry.name for entry in learner.plan if entry.learns_at(1)}
    with training(learner):
        trained = [parameter for name, parameter in learner.network.named_parameters() if name in names]
        rate = ADAM_RATES["head" if all(name.startswith("head.") for name in names) else "whole"]
        state, start = [(torch.zeros_like(p), torch.zeros_like(p)) for p in trained], time.perf_counter()
        for step in range(1, STEPS + 1):
            found = learner.objective(learner.forward(few.images), few.targets)
            losses.append(float(found.plain))
            done = min(losses) < losses[0] / 2 or not math.isfinite(losses[-1])
            if done or (step > 10 and time.perf_counter() - start > SECONDS):
                break
            found.objective.backward()
            _adam_step(trained, state, rate, step)
    share = min(losses) / losses[0]
    return judged(
        PART, "learns a batch by heart", worst(not share < 0.9, share >= 0.5),
        seen=f"loss on {len(few.labels)} images {losses[0]:.3f} -> {min(losses):.3f} in {len(losses) - 1} steps",
        why="a network that cannot learn sixteen images by heart will not learn thousands",
        todo="check the loss, the gradients and what is frozen before anything else; with a frozen backbone, unfreeze a stage",
    )  # fmt: skip


@torch.no_grad()
def _adam_step(parameters: list, state: list, rate: float, step: int) -> None:
    """Adam (Kingma and Ba 2015, algorithm 1), because `torch.optim` takes seconds to import its compiler."""
    for parameter, (mean, square) in zip(parameters, state, strict=True):
        if parameter.grad is None:
            continue
        mean.lerp_(parameter.grad, 0.1)
        square.mul_(0.999).addcmul_(parameter.grad, parameter.grad, value=0.001)
        scale = (square / (1 - 0.999**step)).sqrt_().add_(1e-8)
        parameter.addcdiv_(mean, scale, value=-rate / (1 - 0.9**step))
        parameter.grad = None
