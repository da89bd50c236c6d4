"""Which samples an epoch shows, in which order, and how much each class counts."""

from __future__ import annotations

import numpy as np

from vision2.basics.randomness import numpy_stream


def epoch_order(labels: np.ndarray, *, seed: int, epoch: int, shuffle: bool, sampler: str = "shuffle") -> np.ndarray:
    """(N,) sample positions of one epoch: f(seed, epoch).

    `sampler="balanced"` draws with replacement so that every class present is equally likely; the epoch keeps its length.
    """
    if not shuffle:
        return np.arange(len(labels), dtype=np.int64)
    generator = numpy_stream(seed, "shuffle", epoch)
    if sampler == "balanced":
        counts = np.bincount(labels)
        chances = 1.0 / counts[labels]
        return generator.choice(len(labels), size=len(labels), p=chances / chances.sum()).astype(np.int64)
    return generator.permutation(len(labels)).astype(np.int64)


def draw_numbers(order: np.ndarray) -> np.ndarray:
    """(N,) the number each shown sample draws its augmentation by: its position, and another one for each repeat.

    Without it a sample drawn twice by the balanced sampler would look the same both times.
    """
    ranks = np.argsort(order, kind="stable")
    ordered = order[ranks]
    first = np.searchsorted(ordered, ordered, side="left")
    repeats = np.empty_like(order)
    repeats[ranks] = np.arange(len(order)) - first
    return order + len(order) * repeats


def class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """(K,) float32 `balanced` weights n / (K * n_k), as scikit-learn defines them; a class without samples gets 0.

    K counts the classes that have samples, so that the mean weight over the samples is 1.
    """
    counts = np.bincount(labels, minlength=num_classes)
    present = counts > 0
    weights = np.zeros(num_classes, dtype=np.float32)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights
