"""Recognise classes without training images from their attributes, on the features of the seen classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision2.strategies import finetune

if TYPE_CHECKING:
    from vision2.strategies.rules import Stages
    from vision2.strategies.settings import StrategyConfig
    from vision2.training.fit import Fit, Task
    from vision2.training.parameter_plan import Rule
    from vision2.training.settings import TrainConfig

TRAINS_BACKBONE, EPISODIC = True, False
method = finetune.method


def problems(strategy: StrategyConfig, train: TrainConfig) -> list[str]:
    found = []
    if strategy.attributes is None:
        found.append(
            "strategy=eszsl needs strategy.attributes=FILE.csv, a row of numbers for each class (for dataset=digits:"
            " strategy.attributes=seven_segments)"
        )
    for key, default in (("classifier", "linear"), ("neighbors", None), ("views", 1), ("features", "once")):
        if (value := getattr(strategy, key)) != default:
            found.append(f"strategy.{key}={value} has no effect on strategy=eszsl; leave it out")
    return found


def rules(strategy: StrategyConfig, stages: Stages) -> list[Rule]:
    """A pretrained backbone is frozen; without pretrained weights, everything is trained on the seen classes first."""
    from vision2.strategies.rules import head_rules
    from vision2.training.parameter_plan import Rule

    if not strategy.pretrained:
        return finetune.rules(strategy, stages)
    return [*head_rules(stages, ("head",)), Rule("*", 1.0, None)]


def start(task: Task) -> Fit:
    from vision2.zeroshot.fit_attributes import fit_attributes

    return fit_attributes(task, rules(task.strategy, task.network.stages))
