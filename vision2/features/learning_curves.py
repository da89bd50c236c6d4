"""Learning curves with few labels: simple classifiers on 1, 2, 5, ... images per class, averaged over many random draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vision2.basics.errors import UserError
from vision2.basics.randomness import numpy_stream
from vision2.data.batches import Batches
from vision2.data.dataset import Dataset, Split
from vision2.data.settings import DatasetConfig
from vision2.features.compute import FeatureMaker, features_cache
from vision2.models.cut import LAST
from vision2.models.network import Network
from vision2.models.settings import ModelConfig
from vision2.stats.intervals import Estimate, mean_interval

PIXELS_PX = 32  # side to which images are resized for the raw-pixel baseline
LOGISTIC_C = 10.0  # for unit vectors; a handful of images leaves none for a validation split to choose it on


@dataclass(frozen=True)
class Point:
    """One point of a learning curve: the mean test accuracy over the draws, with its 95 % interval."""

    features: str  # pretrained | untrained | pixels
    classifier: str
    shots: int
    accuracy: Estimate
    draws: tuple[float, ...]


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


def nearest_centroid(support: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Predicted labels (M,): the class with the most similar mean vector (Snell et al. 2017, with cosine similarity)."""
    names = np.unique(labels)
    centroids = _unit(np.stack([support[labels == name].mean(0) for name in names]))
    return names[(queries @ centroids.T).argmax(1)]


def logistic(support: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Predicted labels (M,) of multinomial logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # with a handful of images, threads would mostly wait for each other
        return LogisticRegression(C=LOGISTIC_C, max_iter=200, tol=1e-3).fit(support, labels).predict(queries)


CLASSIFIERS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "centroid": nearest_centroid,
    "linear": logistic,
}


def learning_curves(
    features: dict[str, tuple[np.ndarray, np.ndarray]],
    labels: tuple[np.ndarray, np.ndarray],
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
        train, test = _unit(train), _unit(test)
        for classifier, predict in CLASSIFIERS.items():
            for count in shots:
                found = []
                for draw in range(draws):
                    chosen = draw_support(train_labels, count, seed=seed, draw=draw)
                    predicted = predict(train[chosen], train_labels[chosen], test)
                    found.append(float((predicted == test_labels).mean()))
                yield Point(name, classifier, count, mean_interval(found), tuple(found))


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def transfer_features(
    data: Dataset, networks: dict[str, Network], model: ModelConfig, dataset: DatasetConfig
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Training and test features, each (N, D), of every network after its last layer, and the raw pixels."""
    found = {}
    for name, network in networks.items():
        maker = FeatureMaker(network, model, [LAST], folder=features_cache(dataset))
        found[name] = tuple(maker.features(split)[LAST][0].numpy() for split in (data.train, data.test))
    small = next(iter(networks.values())).preprocessing.at_size(PIXELS_PX)

    def pixels(split: Split) -> np.ndarray:
        batches = Batches(split, small, batch_size=64, device="cpu", num_classes=len(data.classes), seed=0)
        return torch.cat([batch.images.flatten(1) for batch in batches.epoch(0)]).numpy()

    return found | {"pixels": (pixels(data.train), pixels(data.test))}


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
