"""A frozen network that is measured on episodes: there is nothing to fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from vision2.meta.fit import without_classifier, without_head
from vision2.models.network import Network
from vision2.training.epochs import costs_of
from vision2.training.fit import FitResult, Progress, Task, Totals
from vision2.training.parameter_plan import ParameterPlan, Rule, plan_parameters
from vision2.training.recorder import Recorder


def fit_nothing(task: Task, rules: Sequence[Rule]) -> FrozenFit:
    """Set up the evaluation of the network as it is, without its head."""
    cut = replace(task, network=without_head(task.network))
    return FrozenFit(cut, plan_parameters(cut.network, rules, task.strategy), costs_of(cut))


@dataclass
class FrozenFit:
    """A `Fit` of no epochs."""

    task: Task
    plan: list[ParameterPlan]
    costs: Callable[[], Totals]
    precision: str = field(default="float32", init=False)
    epochs: int = field(default=0, init=False)

    @property
    def network(self) -> Network:
        return self.task.network

    @property
    def batch_size(self) -> int:
        return self.task.images["val"].batch_size

    def classifier(self) -> dict:
        return without_classifier(self.task, "nearest class mean")

    def known_features(self) -> torch.Tensor | None:
        return None

    def run(self, recorder: Recorder) -> FitResult:
        """Save the network as it is."""
        start = time.perf_counter()
        state = {"model": self.network.state_dict(), "classifier": self.classifier()}
        progress = Progress(seconds=recorder.prepared_seconds + time.perf_counter() - start)
        recorder.save(progress, best=state, last=state)
        return FitResult(self.network.eval(), self._measure, progress, train=None)

    def _measure(self, split: str):
        return self.task.measures[split](self.network, self.task.images[split])
