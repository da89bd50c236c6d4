"""The pretrained backbone stays unchanged; a new classifier is trained on its features."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vision2.strategies import finetune
from vision2.strategies.finetune import stored_features_settings

if TYPE_CHECKING:
    from vision2.strategies.rules import Stages
    from vision2.strategies.settings import StrategyConfig
    from vision2.training.fit import Fit, Task
    from vision2.training.parameter_plan import Rule
    from vision2.training.settings import TrainConfig

TRAINS_BACKBONE, EPISODIC = False, False
method = finetune.method
# Settings of a backbone that is trained, with the values that change nothing; rules of the user's own have their own rates.
FINETUNING_ONLY = {
    "unfreeze_from": None,
    "unfreeze_every_epochs": 0,
    "head_first_epochs": 0,
    "backbone_lr_scale": 1.0,
    "layer_decay": 1.0,
}


def problems(strategy: StrategyConfig, train: TrainConfig) -> list[str]:
    found, classifier = [], strategy.classifier
    unused = FINETUNING_ONLY if strategy.rules else FINETUNING_ONLY | {"l2_sp": 0.0}
    for key, neutral in unused.items():
        if (value := getattr(strategy, key)) != neutral:
            found.append(
                f"strategy.{key}={value} has no effect on strategy=feature_extraction, which never trains the backbone;"
                " leave it out, or use strategy=finetune"
            )
    if strategy.attributes is not None:
        found.append("strategy.attributes applies only to strategy=eszsl; leave it out")
    if strategy.features == "every_epoch":
        why = "needs strategy.features=once (with features=every_epoch it must be {default})"
        found += stored_features_settings(strategy, why)
    if classifier != "linear" and train.sampler != "shuffle":
        found.append(
            f"train.sampler={train.sampler} cannot be used with strategy.classifier={classifier}, which is fitted to all images"
            " at once; use train.sampler=shuffle, or strategy.classifier=linear"
        )
    if strategy.selection == "fixed" and classifier == "linear":
        found.append("strategy.selection=fixed needs a classifier that is fitted at once, such as strategy.classifier=logistic")
    if strategy.selection == "fixed" and re.search("[+,]", strategy.layer):
        found.append(f"strategy.selection=fixed does not choose among the layers of strategy.layer={strategy.layer}; name one")
    if classifier in ("knn", "mlp") and train.class_weights != "none":
        found.append(
            f"train.class_weights={train.class_weights} cannot be used with strategy.classifier={classifier}; leave it out"
        )
    return found


def rules(strategy: StrategyConfig, stages: Stages) -> list[Rule]:
    """The head is trained and, when images pass through the network in every epoch, so are the auxiliary classifiers."""
    from vision2.strategies.rules import head_rules
    from vision2.training.parameter_plan import Rule

    learning = ("head",) if strategy.features == "once" else ("aux", "head")
    return [*head_rules(stages, learning), Rule("*", 1.0, None)]


def start(task: Task) -> Fit | None:
    own = rules(task.strategy, task.network.stages)
    if task.data.new_classes:  # a classifier of the training classes would not know the others
        from vision2.meta.frozen import fit_nothing

        return fit_nothing(task, own)
    if task.strategy.features == "every_epoch":
        from vision2.training.epochs import fit_on_images

        return fit_on_images(task, own)
    from vision2.features.probe import fit_on_features

    return fit_on_features(task, own)
