"""Split a data set by class: the classes of validation and test are never trained on, so that they are new to a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vision2.basics.errors import UserError
from vision2.basics.randomness import numpy_stream
from vision2.data.collection import PARTS, Collection

LEAST = 2  # classes in a split: an episode needs two


def split_classes(collection: Collection, *, seed: int, val_fraction: float, test_fraction: float):
    """Return (the collection with its classes in the order train, val, test; "train", "val" or "test" for each image).

    A division by class that the data set itself defines is kept. Otherwise all images of a class go together and the classes
    are drawn by seed: a share `test_fraction` of them for test, then `val_fraction` of the others for validation, and at
    least two for each.

    Raises:
        UserError: when a split would have fewer than two classes.
    """
    part_of_class = _own_division(collection)
    if part_of_class is None:
        part_of_class = np.full(len(collection.classes), "train", dtype="<U5")
        _draw(part_of_class, "test", test_fraction, seed)
    if "val" not in part_of_class:
        _draw(part_of_class, "val", val_fraction, seed)
    counts = {part: int((part_of_class == part).sum()) for part in PARTS}
    if min(counts.values()) < LEAST:
        found = ", ".join(f"{part} {count}" for part, count in counts.items())
        enough = len(part_of_class) >= LEAST * len(PARTS)
        shares = "other shares with dataset.val_fraction and dataset.test_fraction, or " if enough else ""
        raise UserError(
            f"dataset.split_by=class needs at least {LEAST} classes in each split, but the {len(part_of_class)} classes give"
            f" {found}; use {shares}a data set with {'more' if enough else f'at least {LEAST * len(PARTS)}'} classes"
        )
    order = np.concatenate([np.flatnonzero(part_of_class == part) for part in PARTS])
    labels = np.argsort(order)[collection.labels]
    classes = tuple(collection.classes[index] for index in order)
    return replace(collection, classes=classes, labels=labels), part_of_class[order][labels]


def _own_division(collection: Collection) -> np.ndarray | None:
    """The split of each class if the data set defines train and test splits that share no class, else None."""
    members = {part: np.unique(collection.labels[collection.parts == part]) for part in (*PARTS, "")}
    if len(members[""]) or not len(members["train"]) or not len(members["test"]):
        return None
    if sum(map(len, members.values())) > len(collection.classes):
        return None
    division = np.full(len(collection.classes), "train", dtype="<U5")
    for part in PARTS:
        division[members[part]] = part
    return division


def _draw(part_of_class: np.ndarray, name: str, fraction: float, seed: int) -> None:
    """Rename a share of the "train" classes to `name`, in place."""
    candidates = np.flatnonzero(part_of_class == "train")
    drawn = numpy_stream(seed, "split", 2 if name == "test" else 3).permutation(candidates)
    part_of_class[drawn[: max(LEAST, round(fraction * len(candidates)))]] = name
