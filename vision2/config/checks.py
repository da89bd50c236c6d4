"""Check a configuration: known keys, allowed values, and values that do not contradict each other.

Imports nothing that needs torch, so mistakes are reported at once.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import typing
from collections.abc import Iterator
from difflib import get_close_matches
from operator import attrgetter
from pathlib import Path
from typing import Any

from vision2.basics.errors import UserError, suggest
from vision2.config.fault_checks import fault_problems
from vision2.config.location import GROUPS
from vision2.config.schema import Config
from vision2.data.datasets import problems as dataset_problems
from vision2.features.settings import wanted_engine
from vision2.meta.settings import EpisodesConfig
from vision2.meta.settings import problems as episode_problems
from vision2.models.cards import card_for, check_size
from vision2.strategies import STRATEGIES
from vision2.strategies.finetune import stored_features_settings
from vision2.strategies.settings import StrategyConfig


def leaves(section: type = Config, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field]]:
    """Every key that can be set, as (dotted name, field)."""
    hints = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from leaves(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, field


LEAVES = dict(leaves())
# Sweeps combine a file or source for other strategies with these: scratch, and untrained or pixels (not pretrained).
STARTS_AT_RANDOM = ("scratch", "feature_extraction")
USUAL_CLASSIFIER = "logistic"  # of conf/strategy/feature_extraction.yaml, so nobody need have asked for it
EXPECTED = {  # of paths that must exist
    "checkpoint": "a checkpoint, e.g. outputs/.../best.pt",
    "resume": "the folder of a run, e.g. outputs/digits/resnet20-scratch/...",
    "dataset.root": "the folder or archive of the images, or leave it out if the data set can be downloaded",
    "weights.path": "a weights file or the folder of a model",
    "strategy.source": "the folder of a completed run, e.g. outputs/cats_vs_dogs/resnet18-scratch/...",
}


def unknown_key(key: str) -> str | None:
    """The problem with a dotted key that is neither a leaf of the schema nor one of its sections, else None."""
    if key in LEAVES or any(leaf.startswith(key + ".") for leaf in LEAVES):
        return None
    parent = next((leaf for leaf in LEAVES if key.startswith((f"{leaf}.", f"{leaf}["))), None)
    if parent:
        return f"'{key}' is part of {parent}, which can only be set as a whole: {parent}=VALUE"
    section, _, name = key.rpartition(".")
    namesake = next((leaf for leaf in LEAVES if leaf.rpartition(".")[2] == name), None)
    if namesake:
        return f"unknown key '{key}', did you mean '{namesake}'?"
    if not section and (near := get_close_matches(key, GROUPS, n=1, cutoff=0.75)):
        return f"unknown key '{key}', did you mean '{near[0]}'?"
    siblings = [leaf for leaf in LEAVES if leaf.startswith(section + ".")]
    return f"unknown key '{key}'{suggest(key, siblings or LEAVES)}"


def section_problem(key: str) -> str | None:
    """The problem with giving a value to a known key that is a section, else None."""
    if key in LEAVES:
        return None
    first = next(leaf for leaf in LEAVES if leaf.startswith(key + "."))
    return f"{key} is a group of settings; set one of them, e.g. {first}=VALUE"


def value_problem(key: str, value: Any) -> str | None:
    """The problem with the value of a leaf (not an allowed choice, out of range), else None. Its type is already checked."""
    metadata = LEAVES[key].metadata
    choices = metadata.get("choices")
    if choices and value not in choices and not (value is None and LEAVES[key].default is None):
        near = suggest(str(value), choices, otherwise="")
        return f"{key} is '{value}'{near} (allowed: {', '.join(choices)})"
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = metadata.get("at_least"), metadata.get("at_most")
        if (low is not None and value < low) or (high is not None and value > high):
            bounds = f"at least {low}" if high is None else f"between {low} and {high}"
            return f"{key} is {value}; it must be {bounds}"
        if not math.isfinite(value):
            return f"{key} is {value}; it must be a finite number"
    return None


def problems_of(config: Config) -> list[str]:
    """One line per value that is not allowed or, if all are allowed, per contradiction between values."""
    found = [problem for key in LEAVES if (problem := value_problem(key, attrgetter(key)(config)))]
    if found:
        return found
    try:
        facts = card_for(config.model)
    except UserError as error:
        return list(error.problems)
    return [
        *_model(config, facts),
        *_weights(config, facts),
        *_strategy(config),
        *dataset_problems(config.dataset),
        *_episodes(config),
        *_training(config),
        *_paths(config),
        *_environment(config),
        *fault_problems(config),
    ]


def image_size_px(config: Config) -> int:
    """The configured image size, or else the model's own."""
    return config.dataset.image_size_px or card_for(config.model).image_size_px


def _model(config: Config, facts) -> Iterator[str]:
    if config.model.aux and not facts.has_aux:
        yield f"{facts.name} has no auxiliary classifiers; leave out model.aux=true"
    training = config.mode == "train" and STRATEGIES[config.strategy.name].TRAINS_BACKBONE
    try:
        check_size(config.model, image_size_px(config), training=training)
    except UserError as error:
        yield from error.problems


def _weights(config: Config, facts) -> Iterator[str]:
    weights, strategy = config.weights, config.strategy
    named = weights.name not in ("auto", "none")
    given = weights.path or strategy.source
    learning = config.mode == "train" and not config.resume
    optional = learning and not strategy.pretrained and strategy.name not in STARTS_AT_RANDOM
    if named and not strategy.pretrained:
        why = f"strategy={strategy.name} starts from random weights but weights.name={weights.name}"
        remedy = "add strategy.pretrained=true" if optional else "use strategy=finetune"
        yield f"{why}; leave out weights.name, or {remedy}"
    if given and optional:
        key = "weights.path" if weights.path else "strategy.source"
        yield (
            f"{key}={given} has no effect on strategy={strategy.name}, which starts from random weights unless"
            f" strategy.pretrained=true; add that, or leave out {key}"
        )
    if weights.path and strategy.source:
        yield "weights.path and strategy.source both name pretrained weights; set only one of them"
    if strategy.pretrained and weights.name == "none" and not given:
        yield f"strategy={strategy.name} needs pretrained weights but weights.name=none; leave out weights.name"
    if strategy.pretrained and not given and not facts.weights and not config.resume:
        yield (
            f"{facts.name} has no published weights; give a file with weights.path=FILE, one of your runs with"
            " strategy.source=RUN_FOLDER, or use strategy=scratch"
        )
    if weights.path and named:
        yield f"weights.path and weights.name={weights.name} both name weights; leave out weights.name"
    if weights.sha256 and not re.fullmatch("[0-9a-fA-F]{8,64}", weights.sha256):
        yield f"weights.sha256 is '{weights.sha256}'; it must be the 8 to 64 hexadecimal digits that sha256sum prints"
    for key in ("key", "classes"):
        if getattr(weights, key) and not weights.path:
            yield f"weights.{key} describes weights.path, which is not set; add weights.path=FILE or leave it out"
    read = not config.checkpoint and not config.resume
    if read and weights.classes and weights.classes != "imagenet" and not Path(weights.classes).expanduser().is_file():
        yield f"weights.classes={weights.classes} is not a file; give a text file with one class per line, or imagenet"
    if weights.sha256 and not weights.path:
        yield "weights.sha256 is the checksum of weights.path, which is not set; add weights.path=FILE or leave it out"


def _strategy(config: Config) -> Iterator[str]:
    strategy = config.strategy
    for rule in strategy.rules:
        if not rule.lr_scale >= 0:
            yield f"strategy.rules: the lr_scale of '{rule.match}' is {rule.lr_scale}; it must be at least 0"
        if rule.match.startswith("body."):
            new = "backbone." + rule.match.removeprefix("body.")
            yield f"strategy.rules: '{rule.match}' uses the old name of the backbone; write '{new}'"
    yield from STRATEGIES[strategy.name].problems(strategy, config.train)


def _episodes(config: Config) -> Iterator[str]:
    yield from episode_problems(config.episodes)
    if config.dataset.split_by == "class" and config.mode == "train":
        yield from _without_classifier(config.strategy)
    if config.dataset.split_by == "class" or config.mode == "eval":  # a checkpoint may be evaluated on other data
        return
    if STRATEGIES[config.strategy.name].EPISODIC:
        yield (
            f"strategy={config.strategy.name} learns to classify classes it was not trained on; add dataset.split_by=class, or"
            " use dataset=omniglot"
        )
    for field in dataclasses.fields(EpisodesConfig):
        if (value := getattr(config.episodes, field.name)) != field.default:
            yield f"episodes.{field.name}={value} needs a data set that is split by class; add dataset.split_by=class"


def _without_classifier(strategy: StrategyConfig) -> Iterator[str]:
    """Settings of a classifier of the training classes, which has no use where the test classes are others."""
    if strategy.name == "eszsl":
        yield "strategy=eszsl leaves out classes with dataset.unseen; leave out dataset.split_by=class"
    elif strategy.name == "feature_extraction":
        given = dataclasses.replace(strategy, classifier="linear") if strategy.classifier == USUAL_CLASSIFIER else strategy
        yield from stored_features_settings(
            given,
            "has no effect with dataset.split_by=class, where episodes are classified by the nearest class mean; leave it out,"
            " or compare classifiers with python -m vision2.few_shot way=5",
        )


def _training(config: Config) -> Iterator[str]:
    train = config.train
    if train.sampler == "balanced" and train.class_weights == "balanced":
        yield "train.sampler=balanced and train.class_weights=balanced both correct class imbalance; set only one of them"
    if train.clip_norm == 0:
        yield "train.clip_norm is 0, which would stop all learning; set a norm above 0, or leave it out to disable clipping"
    if sorted(train.milestones) != train.milestones or any(not 0 < share < 1 for share in train.milestones):
        yield f"train.milestones is {train.milestones}; they must be increasing fractions of the run, e.g. [0.5,0.75]"


def _paths(config: Config) -> Iterator[str]:
    if config.mode == "eval" and not config.checkpoint and not config.weights.path:
        yield "mode=eval needs checkpoint=FILE, e.g. checkpoint=outputs/.../best.pt, or weights.path=FILE with model=NAME"
    if config.checkpoint and config.mode != "eval":
        yield "checkpoint=FILE needs mode=eval; to train from the file use weights.path=FILE, to resume a run resume=FOLDER"
    if config.strategy.source == "before" and not config.experiment.before:
        yield "strategy.source=before is only for experiments that train a run first; set strategy.source=RUN_FOLDER"
    yield from unusable_paths(config)


def unusable_paths(config: Config) -> Iterator[str]:
    """One line for each file or folder to be read that does not exist."""
    read = ["checkpoint", "resume", "dataset.root"]
    if not config.resume and not config.checkpoint:  # else the weights are those of the checkpoint
        read += ["weights.path", *([] if config.strategy.source == "before" else ["strategy.source"])]
    for key in read:
        path = attrgetter(key)(config)
        if path and (why := _unusable(path)):
            yield f"{key}={path} {why}; set it to {EXPECTED[key]}"


def _environment(config: Config) -> Iterator[str]:
    """Problems with variables that would otherwise be found only once data and weights are loaded."""
    try:
        wanted_engine()
    except UserError as error:
        yield from error.problems
    given = config.dataset.cache_dir or os.environ.get("VISION2_CACHE")
    setting = "dataset.cache_dir" if config.dataset.cache_dir else "the environment variable VISION2_CACHE"
    if given and config.dataset.cache == "disk":
        try:
            wrong = "is a file" if Path(given).expanduser().is_file() else None
        except RuntimeError:
            wrong = "names an unknown home directory"
        if wrong:
            yield f"{setting} is {given}, which {wrong}; set it to a folder, or leave it out to use ~/.cache/vision2"


def _unusable(path: str) -> str | None:
    try:
        return None if Path(path).expanduser().exists() else "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except RuntimeError:  # ~ without a home directory, or ~name of an unknown user
        return "names an unknown home directory"
