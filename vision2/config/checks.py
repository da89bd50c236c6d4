"""Values that are fine alone and contradict each other. Uses only torch-free facts, so it answers at once."""

from __future__ import annotations

import re
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.config.schema import Config
from vision2.models.cards import card_for, minimum_size

# What is not this when features are not computed once and kept would be ignored.
STORED_FEATURES_ONLY = {"classifier": "linear", "layer": "last", "pooling": "pooled", "views": 1, "neighbors": None}


def contradictions(config: Config) -> list[str]:
    """One line for each contradiction; an empty list when the run can be tried."""
    try:
        facts = card_for(config.model)
    except UserError as error:
        return list(error.problems)
    problems = (
        _size(config) + _weights(config, facts) + _strategy(config, facts) + _features(config) + _training(config)
    )
    return problems + _places(config)


def image_size_px(config: Config) -> int:
    """The size asked for, or the model's own."""
    return config.dataset.image_size_px or card_for(config.model).image_size_px


def _size(config: Config) -> list[str]:
    training = config.mode == "train" and config.strategy.name != "feature_extraction"
    size, least = image_size_px(config), minimum_size(config.model, training=training)
    if size >= least:
        return []
    also = " (or model.aux=false)" if config.model.aux and minimum_size(config.model, training=False) <= size else ""
    return [
        f"images of {size} px are too small for {config.model.name}: its smallest size is {least} px;"
        f" set dataset.image_size_px={least} or more{also}"
    ]


def _weights(config: Config, facts) -> list[str]:
    weights, strategy = config.weights, config.strategy
    wants, problems = strategy.pretrained, []
    if not strategy.pretrained and weights.name not in ("auto", "none"):
        problems.append(
            f"strategy={strategy.name} starts at random but weights.name={weights.name}; use strategy=finetune"
        )
    if weights.path and strategy.source:
        problems.append("weights.path and strategy.source both name pretrained weights; give one of them")
    if strategy.pretrained and weights.name == "none" and not weights.path and not strategy.source:
        problems.append(
            f"strategy={strategy.name} needs pretrained weights but weights.name=none; leave weights.name out"
        )
    if wants and not weights.path and not strategy.source and not facts.weights and not config.resume:
        problems.append(
            f"{facts.name} has no published weights; give a file with weights.path=FILE, one of your runs with"
            " strategy.source=RUN_FOLDER, or use strategy=scratch"
        )
    if weights.path and weights.name not in ("auto", "none"):
        problems.append(f"weights.path and weights.name={weights.name} both name weights; leave out weights.name")
    if weights.sha256 and not re.fullmatch("[0-9a-fA-F]{8,64}", weights.sha256):
        problems.append(f"weights.sha256 is '{weights.sha256}', it must be the 8 to 64 hexadecimal digits of sha256sum")
    if weights.sha256 and not weights.path:
        problems.append("weights.sha256 is given without weights.path; it is checked against that file")
    return problems


def _strategy(config: Config, facts) -> list[str]:
    strategy, problems = config.strategy, []
    if config.model.aux and not facts.has_aux:
        problems.append(f"{facts.name} has no auxiliary classifiers; leave out model.aux=true")
    if strategy.name == "feature_extraction" and (strategy.unfreeze_from or strategy.head_first_epochs):
        problems.append("strategy=feature_extraction trains no backbone; use strategy=finetune to unfreeze a part")
    problems += [
        f"strategy.rules: the lr_scale of '{rule.match}' is {rule.lr_scale}, it must be at least 0"
        for rule in strategy.rules
        if not rule.lr_scale >= 0
    ]
    if 0 < config.train.epochs <= strategy.head_first_epochs:
        problems.append(
            f"strategy.head_first_epochs={strategy.head_first_epochs} leaves none of train.epochs={config.train.epochs}"
            " to the backbone; lower it, or use strategy.unfreeze_from=head"
        )
    if strategy.unfreeze_every_epochs and strategy.unfreeze_from:
        problems.append("strategy.unfreeze_every_epochs and strategy.unfreeze_from contradict; give one of them")
    return problems


def _features(config: Config) -> list[str]:
    """Settings of a classifier on stored features, and of training in epochs that such a classifier does not know."""
    strategy, train, problems = config.strategy, config.train, []
    stored = strategy.name == "feature_extraction" and strategy.features == "once"
    if not stored:
        if strategy.name == "feature_extraction":
            needs = "needs strategy.features=once (the loop over all epochs takes {usual})"
        else:
            needs = "goes with strategy=feature_extraction"
        problems += [
            f"strategy.{key}={getattr(strategy, key)} {needs.format(usual=usual)}"
            for key, usual in STORED_FEATURES_ONLY.items()
            if getattr(strategy, key) != usual
        ]
    if strategy.classifier != "linear" and train.sampler != "shuffle":
        problems.append(
            f"train.sampler={train.sampler} does not go with strategy.classifier={strategy.classifier}, which sees all images"
            " at once; give train.class_weights=balanced"
        )
    if strategy.classifier in ("knn", "mlp") and train.class_weights != "none":
        problems.append(
            f"train.class_weights={train.class_weights} does not go with strategy.classifier={strategy.classifier}; leave it"
            " out"
        )
    return problems


def _training(config: Config) -> list[str]:
    dataset, train, problems = config.dataset, config.train, []
    if dataset.shots_per_class and dataset.fraction < 1:
        problems.append("dataset.shots_per_class and dataset.fraction both choose a subset; give one of them")
    if dataset.shots_per_class and dataset.imbalance > 1:
        problems.append("dataset.shots_per_class makes classes equal and dataset.imbalance unequal; give one of them")
    if dataset.fraction == 0:
        problems.append("dataset.fraction is 0, which leaves no training images; give a share above 0")
    if dataset.val_fraction + dataset.test_fraction >= 1:
        problems.append(
            "dataset.val_fraction + dataset.test_fraction leave no training images; their sum must be below 1"
        )
    if train.sampler == "balanced" and train.class_weights == "balanced":
        problems.append(
            "train.sampler=balanced and train.class_weights=balanced correct for the same thing twice; give one"
        )
    if dataset.augment.mixup and dataset.augment.cutmix:
        problems.append("dataset.augment.mixup and dataset.augment.cutmix exclude each other; set one of them to 0")
    if sorted(train.milestones) != train.milestones or any(not 0 < m < 1 for m in train.milestones):
        problems.append(
            f"train.milestones is {train.milestones}, they must be rising shares of the run between 0 and 1"
        )
    return problems


def _places(config: Config) -> list[str]:
    if config.mode == "eval" and not config.checkpoint:
        return ["mode=eval needs checkpoint=FILE, e.g. checkpoint=outputs/.../best.pt"]
    if config.checkpoint and config.mode != "eval":
        return [
            "checkpoint=... goes with mode=eval; to start from it use weights.path=FILE, to go on use resume=FOLDER"
        ]
    if config.dataset.name == "folder" and not config.dataset.root:
        return ["dataset=folder needs dataset.root=PLACE: class folders, train/ val/ test/, a zip, or a CSV list"]
    if config.strategy.source == "before" and not config.experiment.before:
        return ["strategy.source=before goes with an experiment that names a run to make first; give a run folder"]
    source = None if config.strategy.source == "before" else config.strategy.source
    places = {
        "checkpoint": config.checkpoint,
        "resume": config.resume,
        "strategy.source": source,
        "weights.path": config.weights.path,
        "dataset.root": config.dataset.root,
    }
    return [
        f"{key}={path} does not exist" for key, path in places.items() if path and not Path(path).expanduser().exists()
    ]
