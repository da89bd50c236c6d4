"""A network with its optimiser and all other training state; every setting goes through the same update step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vision2.basics.errors import TrainingDiverged
from vision2.basics.randomness import derive_seed
from vision2.strategies.settings import StrategyConfig
from vision2.training.activations import uncopied
from vision2.training.checkpoint import restoring
from vision2.training.folding import Pairs, folded
from vision2.training.losses import Losses, Objective, hits, zero
from vision2.training.optimizer import build_optimizer
from vision2.training.parameter_plan import ParameterPlan, apply_phase, set_training_mode
from vision2.training.precision import autocast
from vision2.training.schedule import rate_factor
from vision2.training.settings import TrainConfig

# Reading the loss stalls a GPU, so there it is checked only every few steps.
FINITE_CHECK_STEPS = 16


class EpochResult(NamedTuple):
    loss: float  # plain cross-entropy of the main head, as reported for validation
    objective: float  # the minimised loss, with label smoothing, class weights and auxiliary classifiers
    accuracy: float | None  # None when images are mixed and have no single label
    images: int
    seconds: float
    lr: float
    gradient_norms: dict[str, list[float]]  # of each parameter, by stage, in the first step of the epoch


class Learner:
    """Trains `network` (already on its device) according to `plan`; its state is all that a resumed run needs.

    `forward` maps a batch to outputs; by default it is `network` itself (for stored features, `network.classify`).
    `foldable` names batch normalisations that are folded into a convolution in the epochs in which they are frozen.
    """

    def __init__(
        self,
        network: nn.Module,
        plan: list[ParameterPlan],
        strategy: StrategyConfig,
        train: TrainConfig,
        *,
        precision: str,
        seed: int,
        aux_weight: float = 0.0,
        class_weights: torch.Tensor | None = None,
        forward: Callable | None = None,
        foldable: Pairs = (),
    ):
        self.network, self.strategy, self.train, self.precision, self.seed = network, strategy, train, precision, seed
        self.device = next(network.parameters()).device
        self.plan, self.optimizer = plan, build_optimizer(network, plan, strategy)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "float16")
        weights = class_weights.to(self.device) if class_weights is not None else None
        self.objective = Objective(class_weights=weights, label_smoothing=train.label_smoothing, aux_weight=aux_weight)
        self.averaged = _averaged(network, train.ema) if train.ema else None
        self.forward = forward or (torch.compile(network) if train.compile else network)
        self.reference = _l2_sp_reference(network, strategy)
        self.foldable = foldable

    @property
    def evaluated(self) -> nn.Module:
        """The network that is evaluated: the averaged one if there is one."""
        return self.averaged.module if self.averaged is not None else self.network

    def train_epoch(self, batches, epoch: int, progress=None) -> EpochResult:
        """Train for one pass over `batches`; epochs are counted from 1.

        Raises:
            TrainingDiverged: when the loss is NaN or infinite; the message names the step and the learning rate.
        """
        start = time.perf_counter()
        # Dropout uses the global generator; seeding it here makes an epoch independent of what ran before it.
        torch.manual_seed(derive_seed(self.seed, "augment", epoch))
        apply_phase(self.network, self.plan, epoch)
        set_training_mode(self.network, self.strategy)
        steps = math.ceil(len(batches) / self.train.accumulate)
        sums, norms, lr = _Sums(self.device), {}, 0.0
        groups = _grouped(batches.epoch(epoch), self.train.accumulate, len(batches))
        with self._quick():
            for step, group in enumerate(groups):
                lr = self._set_rate((epoch - 1) * steps + step, steps)
                self._accumulate(group, sums, progress, show=step % FINITE_CHECK_STEPS == 0)
                if step == 0:
                    norms = self._gradient_norms()
                self._update()
                if self.device.type == "cpu" or step % FINITE_CHECK_STEPS == 0 or step == steps - 1:
                    sums.check_finite(epoch, step, lr)
        return sums.result(time.perf_counter() - start, lr, norms)

    @contextmanager
    def _quick(self) -> Iterator[None]:
        """Equal results with fewer passes over memory; the compiler finds its own ways."""
        if self.train.compile:
            yield
        else:
            with uncopied(self.network), folded(self.network, self.foldable):
                yield

    def _accumulate(self, group: Iterable, sums: _Sums, progress, *, show: bool) -> None:
        """Accumulate the gradients of all batches of one step, equal to those of a single batch of the same images.

        Batches may differ in size and in the sum of their class weights, so each is weighted by its divisor.
        """
        first = total = None
        for batch in group:
            losses, logits = self._loss(batch)
            if first is None:
                first = total = losses.divisor
                loss = losses.objective
            else:
                total = total + losses.divisor
                loss = losses.objective * (losses.divisor / first)
            self.scaler.scale(loss).backward()
            sums.add(losses, logits, batch.targets)
            if progress is not None:
                progress.advance(len(batch.labels), **(sums.figures() if show and progress.wants_figures() else {}))
        if total is not first:
            for parameter in self.network.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(first / total)

    def _set_rate(self, step: int, steps_per_epoch: int) -> float:
        lr = self.strategy.lr * rate_factor(step, steps_per_epoch=steps_per_epoch, train=self.train)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        return lr

    def _loss(self, batch) -> tuple[Losses, torch.Tensor]:
        with autocast(self.device, self.precision):
            output = self.forward(batch.images)
        return self.objective(output, batch.targets), output.logits

    def _update(self) -> None:
        self.scaler.unscale_(self.optimizer)
        if self.reference:
            for parameter, start in self.reference:
                if parameter.grad is not None:
                    parameter.grad.add_(parameter.detach() - start, alpha=self.strategy.l2_sp)
        if self.train.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.train.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)

    def _gradient_norms(self) -> dict[str, list[float]]:
        """Gradient norm of each parameter, by stage, without the factor of the gradient scaler."""
        parameters, norms = dict(self.network.named_parameters()), {}
        for entry in self.plan:
            gradient = parameters[entry.name].grad
            if gradient is not None:
                norms.setdefault(entry.stage, []).append(gradient.detach().float().norm())
        scale = self.scaler.get_scale()
        return {stage: (torch.stack(found) / scale).tolist() for stage, found in norms.items()}

    def state_dict(self) -> dict:
        return {
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None else None,
            "reference": [start for _, start in self.reference],
        }

    def load_state_dict(self, state: dict) -> None:
        """Raises UserError if the state is not that of this network and optimiser."""
        with restoring():
            self.network.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            if self.averaged is not None:
                self.averaged.load_state_dict(state["averaged"])
            for (_, start), saved in zip(self.reference, state["reference"], strict=True):
                start.copy_(saved)


def _averaged(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average whose decay ramps up: min(decay, (1 + n) / (10 + n)) after n updates.

    Without the ramp, the average of a run of a few hundred steps would consist mostly of its random initial weights.
    """

    def update(averaged: list, current: list, updates: torch.Tensor) -> None:
        n = int(updates)
        get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(averaged, current, updates)

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)


def _l2_sp_reference(network: nn.Module, strategy: StrategyConfig) -> list[tuple[nn.Parameter, torch.Tensor]]:
    """The pretrained values that L2-SP pulls the backbone towards (Li, Grandvalet and Davoine 2018, eq. 3)."""
    if not strategy.l2_sp:
        return []
    return [(p, p.detach().clone()) for name, p in network.named_parameters() if name.startswith("backbone.")]


def _grouped(batches: Iterable, size: int, total: int) -> Iterable[Iterable]:
    """The batches of each optimiser step (`size`, or fewer in the last step), with at most one in memory at a time."""
    iterator = iter(batches)
    for start in range(0, total, size):
        yield islice(iterator, min(size, total - start))


class _Sums:
    """Losses and hits summed over images on the device and divided once, so that the batch size does not matter."""

    def __init__(self, device: torch.device):
        self.objective, self.plain, self.images = zero(device), zero(device), 0
        self.divisors: torch.Tensor | float = 0.0
        self.hits: torch.Tensor | None = zero(device, torch.long)

    def add(self, losses: Losses, logits: torch.Tensor, targets: torch.Tensor) -> None:
        self.objective += losses.objective.detach() * losses.divisor
        self.divisors = self.divisors + losses.divisor
        self.plain += losses.plain * len(targets)
        self.images += len(targets)
        found = hits(logits, targets)
        self.hits = None if found is None or self.hits is None else self.hits + found

    @property
    def accuracy(self) -> float | None:
        return None if self.hits is None else int(self.hits) / self.images

    def figures(self) -> dict[str, float]:
        """The values shown by the progress bar."""
        figures = {"loss": float(self.plain) / self.images}
        return figures if self.accuracy is None else figures | {"accuracy": self.accuracy}

    def check_finite(self, epoch: int, step: int, lr: float) -> None:
        if not math.isfinite(float(self.objective)):
            raise TrainingDiverged(
                f"the loss is NaN or infinite at step {step + 1} of epoch {epoch} (learning rate {lr:g});"
                " try a lower strategy.lr, a longer train.warmup_epochs or train.clip_norm=1"
            )

    def result(self, seconds: float, lr: float, gradient_norms: dict[str, list[float]]) -> EpochResult:
        plain, objective = float(self.plain) / self.images, float(self.objective) / float(self.divisors)
        return EpochResult(plain, objective, self.accuracy, self.images, seconds, lr, gradient_norms)
