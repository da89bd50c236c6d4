"""Prototypical networks: learns features in which an image is nearest to the mean of its class, from episodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision2.strategies import finetune

if TYPE_CHECKING:
    from vision2.strategies.settings import StrategyConfig
    from vision2.training.fit import Fit, Task
    from vision2.training.settings import TrainConfig

TRAINS_BACKBONE, EPISODIC = True, True
rules = finetune.rules
method = finetune.method  # the classifier is the same for features that were learned in another way


def problems(strategy: StrategyConfig, train: TrainConfig) -> list[str]:
    found = finetune.problems(strategy, train)
    for key, default in (("sampler", "shuffle"), ("class_weights", "none")):
        if (value := getattr(train, key)) != default:
            found.append(
                f"train.{key}={value} cannot be used with strategy={strategy.name}, whose episodes have as many images of"
                " each class; leave it out"
            )
    return found


def start(task: Task) -> Fit:
    from vision2.meta.fit import fit_on_episodes

    return fit_on_episodes(task, rules(task.strategy, task.network.stages), method(task.strategy))
