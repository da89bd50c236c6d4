"""Accuracy with few labels: simple classifiers on 1, 2, 5, ... images per class, over random draws or over episodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vision2.basics.errors import UserError
from vision2.basics.randomness import numpy_stream
from vision2.data.batches import Batches
from vision2.data.dataset import Split
from vision2.data.episodes import EVALUATION, Episodes, Shape
from vision2.data.settings import DatasetConfig
from vision2.features.compute import FeatureMaker, features_cache
from vision2.features.few_shot_classifiers import CLASSIFIERS
from vision2.models.cut import LAST
from vision2.models.network import Network
from vision2.models.settings import ModelConfig
from vision2.stats.intervals import Estimate, mean_interval

PIXELS_PX = 32  # side to which images are resized for the raw-pixel baseline


@dataclass(frozen=True)
class Point:
    """The mean test accuracy over random draws or episodes, with its 95 % interval."""

    features: str  # pretrained | untrained | pixels
    classifier: str
    shots: int
    accuracy: Estimate
    draws: tuple[float, ...]  # the accuracy of each draw or episode


def draw_support(labels: np.ndarray, shots: int, *, seed: int, draw: int) -> np.ndarray:
    """Positions of `shots` images per class, int64 (K * shots,); a larger `shots` of the same draw contains the smaller."""
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        chosen.append(members[numpy_stream(seed, "episodes", draw, int(label)).permutation(len(members))[:shots]])
    return np.concatenate(chosen)


def check_shots(labels: np.ndarray, classes: Sequence[str], shots: Sequence[int]) -> None:
    """Raise UserError for more shots than the smallest class has training images, or fewer than 1."""
    counts = np.bincount(labels, minlength=len(classes))
    smallest = int(counts.argmin())
    if max(shots) > counts[smallest]:
        raise UserError(
            f"shots includes {max(shots)}, but class '{classes[smallest]}' has {counts[smallest]} training images; give"
            f" numbers up to {counts[smallest]}"
        )
    if min(shots) < 1:
        raise UserError(f"shots includes {min(shots)}; every number must be at least 1")


def learning_curves(
    features: dict[str, tuple[np.ndarray, np.ndarray]],
    labels: tuple[np.ndarray, np.ndarray],
    classifiers: Sequence[str],
    *,
    shots: Sequence[int],
    draws: int,
    seed: int,
) -> Iterator[Point]:
    """Yield a point for every kind of features, classifier and number of shots; all use the same draws.

    Args:
        features: name -> (training features (N, D), test features (M, D)).
        labels: those of the training images and of the test images.
    """
    train_labels, test_labels = labels
    for name, (train, test) in features.items():
        for classifier in classifiers:
            for count in shots:
                found = []
                for draw in range(draws):
                    chosen = draw_support(train_labels, count, seed=seed, draw=draw)
                    scores = CLASSIFIERS[classifier](train[chosen], train_labels[chosen], test)
                    found.append(float((scores.argmax(1) == test_labels).mean()))
                yield Point(name, classifier, count, mean_interval(found), tuple(found))


def episode_accuracies(
    features: dict[str, np.ndarray],
    labels: np.ndarray,
    classifiers: Sequence[str],
    *,
    way: int,
    shots: Sequence[int],
    query: int,
    episodes: int,
    seed: int,
) -> Iterator[Point]:
    """Yield a point for every kind of features (N, D), classifier and number of shots; all get the same episodes."""
    truth = np.repeat(np.arange(way), query)
    for shot in shots:
        drawn = list(Episodes(labels, Shape(way, shot, query), seed=seed).epoch(EVALUATION, episodes))
        support_labels = np.repeat(np.arange(way), shot)
        for name, vectors in features.items():
            for classifier in classifiers:
                found = []
                for episode in drawn:
                    support, queries = vectors[episode.support.ravel()], vectors[episode.query.ravel()]
                    scores = CLASSIFIERS[classifier](support, support_labels, queries)
                    found.append(float((scores.argmax(1) == truth).mean()))
                yield Point(name, classifier, shot, mean_interval(found), tuple(found))


def transfer_features(
    splits: Sequence[Split], networks: dict[str, Network], model: ModelConfig, dataset: DatasetConfig
) -> dict[str, tuple[np.ndarray, ...]]:
    """Features (N, D) of each split, by every network after its last layer, and the raw pixels."""
    found = {}
    for name, network in networks.items():
        maker = FeatureMaker(network, model, [LAST], folder=features_cache(dataset))
        found[name] = tuple(maker.features(split)[LAST][0].numpy() for split in splits)
    small = next(iter(networks.values())).preprocessing.at_size(PIXELS_PX)

    def pixels(split: Split) -> np.ndarray:
        batches = Batches(split, small, batch_size=64, device="cpu", num_classes=1, seed=0)
        return torch.cat([batch.images.flatten(1) for batch in batches.epoch(0)]).numpy()

    return found | {"pixels": tuple(map(pixels, splits))}


def as_text(points: Sequence[Point]) -> str:
    """A table in percent, with a row per kind of features and classifier and a column per number of shots."""
    shots = sorted({point.shots for point in points})
    width = max(len(f"{point.features}, {point.classifier}") for point in points)
    lines = [f"{'images per class':{width}}" + "".join(f"{count:>18}" for count in shots)]
    for name in dict.fromkeys((point.features, point.classifier) for point in points):
        row = {point.shots: point.accuracy for point in points if (point.features, point.classifier) == name}
        lines.append(f"{', '.join(name):{width}}" + "".join(f"{_cell(row[count]):>18}" for count in shots))
    return "\n".join(lines)


def _cell(accuracy: Estimate) -> str:
    if accuracy.n < 2:
        return f"{100 * accuracy.mean:.1f}"
    return f"{100 * accuracy.mean:.1f} ({100 * accuracy.low:.1f}-{100 * accuracy.high:.1f})"
