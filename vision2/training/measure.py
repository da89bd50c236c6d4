"""Measure a network on a split: by the predictions for its images, or in another way that a task brings along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

from vision2.models.network import Network, Output
from vision2.stats.metrics import summarise_predictions
from vision2.stats.zero_shot_scores import zero_shot_scores
from vision2.training.predictions import Predictions, predict
from vision2.training.ranks import ONE_RANK, Ranks


class Example(NamedTuple):
    """One episode to look at: an image of each class of the support, one to classify of each, and their scores (way, way)."""

    support: Tensor  # (way, 3, S, S), normalised
    query: Tensor  # (way, 3, S, S), normalised
    scores: np.ndarray


@dataclass(frozen=True)
class Measured:
    """What was found on one split: metrics, and what they were computed from.

    `metrics` has at least accuracy, accuracy_low, accuracy_high and loss. `predictions` is None if the split was measured
    by episodes; `episodes` then maps each kind of episode to the accuracy in each of them, and `example` draws one.
    """

    metrics: dict
    predictions: Predictions | None = None
    episodes: Mapping[str, np.ndarray] = field(default_factory=dict)
    example: Callable[[], Example] | None = None


class Measure(Protocol):
    """How a split is measured."""

    def __call__(
        self,
        network: Network,
        batches,
        advance: Callable[[int], None] | None = None,
        *,
        forward: Callable[[Tensor], Output] | None = None,
        ranks: Ranks = ONE_RANK,
    ) -> Measured:
        """Measure `network` on `batches`, calling `advance` with numbers of images as they are done.

        `forward` is the pass from what batches hold to outputs, if it is not the network itself. `ranks` are the processes
        that share the batches.
        """


def on_images(
    network: Network,
    batches,
    advance: Callable[[int], None] | None = None,
    *,
    forward: Callable[[Tensor], Output] | None = None,
    ranks: Ranks = ONE_RANK,
) -> Measured:
    """Classify every image of a split."""
    found = predict(network, batches, advance, forward=forward, ranks=ranks)
    return Measured(summarise_predictions(*found), found)


def on_seen_and_unseen(unseen: Sequence[int]) -> Measure:
    """Also compute the scores of zero-shot learning; `unseen` are the classes without training images."""

    def measure(*args, **passed) -> Measured:
        found = on_images(*args, **passed)
        return replace(found, metrics=found.metrics | {"zero_shot": zero_shot_scores(*found.predictions, unseen)})

    return measure
