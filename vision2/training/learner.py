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
from vision2.data.batches import SharedBatch
from vision2.strategies.settings import StrategyConfig
from vision2.training.activations import uncopied
from vision2.training.checkpoint import restoring
from vision2.training.folding import Pairs, folded
from vision2.training.losses import Losses, Objective, hits, zero
from vision2.training.optimizer import build_optimizer
from vision2.training.parameter_plan import ParameterPlan, apply_phase, set_training_mode
from vision2.training.precision import autocast
from vision2.training.ranks import ONE_RANK, Ranks
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
    `foldable` names batch normalisations that are folded into a convolution in the epochs in which they are frozen. `ranks`
    are the processes that share each batch: all make the step that one process would make on the whole batch.
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
        ranks: Ranks = ONE_RANK,
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
        self.foldable, self.ranks = foldable, ranks
        self._pass = self.forward  # in an epoch, with gradients over all processes

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
        torch.manual_seed(derive_seed(self.seed, "augment", epoch) + self.ranks.rank)
        apply_phase(self.network, self.plan, epoch)
        set_training_mode(self.network, self.strategy)
        steps = math.ceil(len(batches) / self.train.accumulate)
        sums, norms, lr = _Sums(self.device), {}, 0.0
        groups = _grouped(batches.epoch(epoch, self.ranks.place), self.train.accumulate, len(batches))
        # New in each epoch: other parameters may be trained now, and a resumed run has to add in the same order.
        self._pass = self.ranks.parallel(self.network, self.forward)
        with self._quick():
            for step, group in enumerate(groups):
                lr = self._set_rate((epoch - 1) * steps + step, steps)
                self._accumulate(*group, sums, progress, show=step % FINITE_CHECK_STEPS == 0)
                if step == 0:
                    norms = self._gradient_norms()
                self._update()
                if self.device.type == "cpu" or step % FINITE_CHECK_STEPS == 0 or step == steps - 1:
                    sums.check_finite(epoch, step, lr)
        self._pass = self.forward
        if self.ranks.size > 1:
            self.ranks.average(self._statistics())
        return sums.over(self.ranks).result(time.perf_counter() - start, lr, norms)

    @contextmanager
    def _quick(self) -> Iterator[None]:
        """Equal results with fewer passes over memory; the compiler finds its own ways."""
        if self.train.compile:
            yield
        else:
            with uncopied(self.network), folded(self.network, self.foldable):
                yield

    def _accumulate(self, group: Iterable, count: int, sums: _Sums, progress, *, show: bool) -> None:
        """Accumulate the gradients of the `count` batches of one step, equal to those of a single batch of the same images.

        Batches, and the parts of one in several processes, may differ in size and in the sum of their class weights, so each
        is weighted by its divisor.
        """
        first = total = None
        for number, batch in enumerate(group, start=1):
            with self.ranks.syncing(self._pass, last=number == count):
                losses, logits = self._loss(batch)
                if first is None:
                    first, total = self.ranks.mean(losses.divisor, self.device), losses.divisor
                else:
                    total = total + losses.divisor
                alone = losses.divisor is first
                loss = losses.objective if alone else losses.objective * (losses.divisor / first)
                self.scaler.scale(loss).backward()
            if self.ranks.rank == 0 or not isinstance(batch, SharedBatch):
                sums.add(losses, logits, batch.targets)
            if progress is not None:
                figures = sums.figures() if show and progress.wants_figures() else {}
                progress.advance(len(batch.labels) * self.ranks.size, **figures)
        if count > 1:
            total = self.ranks.mean(total, self.device)
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
            output = self._pass(batch.images)
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

    def step(self, batch, lr: float) -> Losses:
        """One update on a batch at the rate `lr`, outside any schedule; phase and modes stay as they are."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        losses, _ = self._loss(batch)
        self.scaler.scale(losses.objective).backward()
        self._update()
        return losses

    def _statistics(self) -> list[torch.Tensor]:
        """The running statistics that this epoch has changed, of the network and of its average."""
        norms = [n for n, m in self.network.named_modules() if m.training and getattr(m, "running_mean", None) is not None]
        networks = [self.network] if self.averaged is None else [self.network, self.averaged.module]
        found = [network.get_submodule(name) for network in networks for name in norms]
        return [statistic for norm in found for statistic in (norm.running_mean, norm.running_var)]

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


def _grouped(batches: Iterable, size: int, total: int) -> Iterable[tuple[Iterable, int]]:
    """The batches of each optimiser step, `size` or fewer in the last step, and their number; one is in memory at a time."""
    iterator = iter(batches)
    for start in range(0, total, size):
        count = min(size, total - start)
        yield islice(iterator, count), count


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

    def over(self, ranks: Ranks) -> _Sums:
        """The sums over all processes."""
        if ranks.size > 1:
            hits = 0 if self.hits is None else int(self.hits)
            values = [float(self.objective), float(self.divisors), float(self.plain), self.images, hits]
            total = torch.tensor(values, dtype=torch.float64)
            ranks.add(total)
            self.objective, self.divisors, self.plain, self.images = *total[:3], int(total[3])
            self.hits = self.hits if self.hits is None else total[4]
        return self

    def result(self, seconds: float, lr: float, gradient_norms: dict[str, list[float]]) -> EpochResult:
        plain, objective = float(self.plain) / self.images, float(self.objective) / float(self.divisors)
        return EpochResult(plain, objective, self.accuracy, self.images, seconds, lr, gradient_norms)
