"""A new head at the full learning rate and pretrained stages at a lower one, all at once or stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vision2.meta.method import Method
    from vision2.strategies.rules import Stages
    from vision2.strategies.settings import StrategyConfig
    from vision2.training.fit import Fit, Task
    from vision2.training.parameter_plan import Rule
    from vision2.training.settings import TrainConfig

TRAINS_BACKBONE, EPISODIC = True, False
# Settings of classifiers on stored features, with their defaults; other values would have no effect here.
STORED_FEATURES_ONLY = {
    "classifier": "linear",
    "layer": "last",
    "pooling": "pooled",
    "views": 1,
    "neighbors": None,
    "selection": "validation",
}


def problems(strategy: StrategyConfig, train: TrainConfig) -> list[str]:
    found = stored_features_settings(strategy, "applies only to strategy=feature_extraction; leave it out")
    if strategy.attributes is not None:
        found.append("strategy.attributes applies only to strategy=eszsl; leave it out")
    if 0 < train.epochs <= strategy.head_first_epochs and strategy.unfreeze_from != "head":
        found.append(
            f"strategy.head_first_epochs={strategy.head_first_epochs} leaves none of train.epochs={train.epochs} for the"
            " backbone; lower it, or train only the head with strategy.unfreeze_from=head"
        )
    if strategy.unfreeze_every_epochs and strategy.unfreeze_from:
        found.append("strategy.unfreeze_every_epochs and strategy.unfreeze_from contradict each other; set only one of them")
    return found


def stored_features_settings(strategy: StrategyConfig, why: str) -> list[str]:
    """A sentence for each setting that only a classifier on stored features uses; `why` may contain {default}."""
    return [
        f"strategy.{key}={getattr(strategy, key)} {why.format(default=default)}"
        for key, default in STORED_FEATURES_ONLY.items()
        if getattr(strategy, key) != default
    ]


def rules(strategy: StrategyConfig, stages: Stages) -> list[Rule]:
    from vision2.strategies.rules import stage_rules

    return stage_rules(strategy, stages)


def method(strategy: StrategyConfig) -> Method:
    from vision2.meta.protonet import Prototypes

    return Prototypes(strategy.distance)


def start(task: Task) -> Fit:
    from vision2.features.frozen_stages import fit_after_frozen_stages
    from vision2.training.epochs import fit_on_images

    own = rules(task.strategy, task.network.stages)
    return fit_after_frozen_stages(task, own) or fit_on_images(task, own)
