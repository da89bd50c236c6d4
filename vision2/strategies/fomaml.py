"""First-order MAML: learns initial weights from which a few steps on the support of an episode suffice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision2.strategies import protonet

if TYPE_CHECKING:
    from vision2.meta.method import Method
    from vision2.strategies.settings import StrategyConfig
    from vision2.training.fit import Fit, Task

TRAINS_BACKBONE, EPISODIC = True, True
problems, rules = protonet.problems, protonet.rules


def method(strategy: StrategyConfig) -> Method:
    from vision2.meta.fomaml import FirstOrderMAML

    return FirstOrderMAML(steps=strategy.inner_steps, lr=strategy.inner_lr)


def start(task: Task) -> Fit:
    from vision2.meta.fit import fit_on_episodes

    return fit_on_episodes(task, rules(task.strategy, task.network.stages), method(task.strategy))
