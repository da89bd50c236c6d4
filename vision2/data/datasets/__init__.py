"""The table of data sets, and the checks of their settings.

A new data set needs a module here with `find`, a line in `DATASETS`, a file conf/dataset/NAME.yaml and a test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError, suggest

if TYPE_CHECKING:
    from vision2.data.collection import Collection
    from vision2.data.settings import DatasetConfig


@dataclass(frozen=True)
class DatasetEntry:
    """Facts about a data set that are available without importing its module, `vision2.data.datasets.NAME`.

    The module has `find(config) -> Collection`. `file_finder` names its function that finds only image files, for the
    audit; it is None if the images are not files.
    """

    sources: tuple[str, ...] = ()  # archives that dataset.source may name
    needs_root: bool = False
    by_class: bool = False  # its splits share no classes, so that it can only be split by class
    file_finder: str | None = "find"


DATASETS = {
    "digits": DatasetEntry(file_finder=None),
    "cifar10": DatasetEntry(file_finder="find_files"),
    "cats_vs_dogs": DatasetEntry(sources=("microsoft", "oxford_pet")),
    "plants": DatasetEntry(sources=("flowers102",)),
    "omniglot": DatasetEntry(file_finder="find_files", by_class=True),
    "folder": DatasetEntry(needs_root=True),
}


def problems(config: DatasetConfig) -> list[str]:
    """Settings that contradict each other or that this data set does not have; no file is looked for."""
    name, entry, found = config.name, DATASETS[config.name], []
    if entry.needs_root and not config.root:
        place = "class folders, train/ val/ test/, a zip or tar, or a CSV list"
        found.append(f"dataset={name} needs dataset.root=PATH: {place}")
    if config.source is not None and not entry.sources:
        found.append(f"dataset.source={config.source}: dataset={name} has no archives to choose from; leave it out")
    elif config.source is not None and config.source not in entry.sources:
        found.append(f"dataset.source: unknown archive '{config.source}'{suggest(config.source, entry.sources)}")
    if config.shots_per_class and config.fraction < 1:
        found.append("dataset.shots_per_class and dataset.fraction both choose a subset; set only one of them")
    if config.shots_per_class and config.imbalance > 1:
        found.append("dataset.shots_per_class balances the classes and dataset.imbalance unbalances them; set only one of them")
    if entry.by_class and config.split_by != "class":
        found.append(f"dataset={name} has other classes in each split; leave out dataset.split_by={config.split_by}")
    if config.split_by == "class" and config.group_pattern is not None:
        found.append("dataset.group_pattern has no effect with dataset.split_by=class, which keeps classes whole; leave it out")
    if config.split_by == "class" and (config.unseen is not None or config.unseen_drawn is not None):
        found.append("dataset.split_by=class leaves other classes out of each split; leave out dataset.unseen")
    if config.unseen is not None and config.unseen_drawn is not None:
        found.append("dataset.unseen names the unseen classes and dataset.unseen_drawn draws them; set only one of them")
    if config.unseen is not None and len(set(config.unseen)) < 2:
        found.append("dataset.unseen names fewer than two classes; name at least two, or there is nothing to choose from")
    if config.label_noise and (config.unseen is not None or config.unseen_drawn is not None):
        found.append("dataset.label_noise would label images with unseen classes; leave it out, or see all classes")
    if config.fraction <= 0:
        found.append("dataset.fraction is 0, which leaves no training images; set a share above 0")
    if config.val_fraction + config.test_fraction >= 1:
        found.append("dataset.val_fraction + dataset.test_fraction leave no training images; their sum must be below 1")
    if config.class_level is not None and not re.fullmatch("top|leaf|[1-9][0-9]?", config.class_level):
        found.append(f"dataset.class_level is '{config.class_level}'; it must be top, leaf or the number of levels (1, 2, ...)")
    if config.augment.mixup and config.augment.cutmix:
        found.append("dataset.augment.mixup and dataset.augment.cutmix exclude each other; set one of them to 0")
    return found


def find_collection(config: DatasetConfig, *, files_only: bool = False) -> Collection:
    """Find the labelled files, or the images if they are embedded or small, before anything is decoded or split.

    Raises:
        UserError: when the images are missing and may not or cannot be downloaded, or do not fit the data set; with
            `files_only`, as in the audit, also when they are not image files.
    """
    if found := problems(config):
        raise UserError(*found)
    finder = DATASETS[config.name].file_finder if files_only else "find"
    if finder is None:
        raise UserError(f"dataset={config.name} is embedded in a library and has no files to audit; use dataset=folder")
    return getattr(import_module(f"{__name__}.{config.name}"), finder)(config)
