"""Episodes: small classification tasks drawn from labelled images, to learn from and to be measured on.

An episode has `way` classes; `shot` support images of each are given with their label, `query` others are classified
(Vinyals et al. 2016, section 2). It depends only on the labels, the seed, the epoch and its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vision2.basics.errors import UserError
from vision2.basics.randomness import numpy_stream

EVALUATION = 0  # the epoch of the episodes that methods are compared on; training counts from 1


class Shape(NamedTuple):
    """The size of an episode: classes, then support and query images per class."""

    way: int
    shot: int
    query: int

    @property
    def key(self) -> str:
        """The name of these episodes among the metrics of a run."""
        return f"{self.way}-way_{self.shot}-shot"


class Episode(NamedTuple):
    """Positions in the split, class by class: those of class `classes[k]` are in row k, which is its label here."""

    classes: np.ndarray  # int64 (way,), labels in the split
    support: np.ndarray  # int64 (way, shot)
    query: np.ndarray  # int64 (way, query)


def check_episodes(
    labels: np.ndarray,
    names: Sequence[str],
    shape: Shape,
    *,
    split: str,
    keys: tuple[str, str, str] = ("way", "shot", "query"),
) -> None:
    """Raise UserError if the images of `split`, with int64 `labels` (N,), are too few for episodes of this shape.

    Classes without images are not counted: a split by class has only some of the classes. `keys` are the settings to name.
    """
    way, shot, query = keys
    counts = np.bincount(labels, minlength=len(names))
    present = np.flatnonzero(counts)
    if not 2 <= shape.way <= len(present):
        raise UserError(
            f"{way}={shape.way}: the {split} split has {len(present)} classes; set {way} to a number from 2 to {len(present)}"
        )
    if min(shape.shot, shape.query) < 1:
        raise UserError(f"{shot}={shape.shot} and {query}={shape.query} must both be at least 1")
    smallest = present[counts[present].argmin()]
    if shape.shot + shape.query > counts[smallest]:
        raise UserError(
            f"{shot}={shape.shot} and {query}={shape.query} need {shape.shot + shape.query} images of each class, but class"
            f" '{names[smallest]}' has {counts[smallest]} in the {split} split; lower one of them"
        )


class Episodes:
    """Draws episodes of one shape from the classes present in `labels`, int64 (N,), which `check_episodes` accepts.

    With the same seed, epoch and number, an episode with fewer ways or shots is part of one with more: it has the first
    of its classes and support images, and the same query images for these classes. So results differ by less chance.
    """

    def __init__(self, labels: np.ndarray, shape: Shape, *, seed: int):
        self.shape, self.seed = shape, seed
        order = np.argsort(labels, kind="stable")
        self._classes, starts = np.unique(labels[order], return_index=True)
        self._members = np.split(order, starts[1:])

    def draw(self, epoch: int, number: int) -> Episode:
        """Episode `number` (from 0) of an epoch."""
        way, shot, query = self.shape
        stream = numpy_stream(self.seed, "episodes", epoch, number)
        chosen = stream.permutation(len(self._classes))[:way]
        shuffled = [stream.permutation(self._members[index]) for index in chosen]
        support = np.stack([images[:shot] for images in shuffled])
        queries = np.stack([images[len(images) - query :] for images in shuffled])
        return Episode(self._classes[chosen], support, queries)

    def epoch(self, epoch: int, count: int) -> Iterator[Episode]:
        """The `count` episodes of an epoch, in order."""
        return (self.draw(epoch, number) for number in range(count))
