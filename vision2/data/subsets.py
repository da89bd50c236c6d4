"""Smaller, imbalanced or mislabelled training splits, for measuring the effect of data quantity and quality.

Every subset is a prefix of one random order per class: the 10 % subset contains the 5 % one, with the same labels.
"""

from __future__ import annotations

import numpy as np

from vision2.basics.errors import UserError
from vision2.basics.randomness import numpy_stream
from vision2.data.collection import count_by_class
from vision2.data.settings import DatasetConfig


def evaluation_subset(labels: np.ndarray, num_classes: int, fraction: float, *, seed: int) -> np.ndarray:
    """(kept,) positions of a stratified `fraction` of a split, with at least one image of each class present."""
    counts = np.bincount(labels, minlength=num_classes)
    orders = _orders(labels, num_classes, seed)
    sizes = [min(count, max(1, round(fraction * count))) for count in counts]
    return np.sort(np.concatenate([order[:size] for order, size in zip(orders, sizes, strict=True)]))


def _orders(labels: np.ndarray, num_classes: int, seed: int) -> list[np.ndarray]:
    """A random order of the positions of each class; every subset is a prefix of it."""
    positions = [np.flatnonzero(labels == index) for index in range(num_classes)]
    return [found[numpy_stream(seed, "subset", index).permutation(len(found))] for index, found in enumerate(positions)]


def training_subset(
    labels: np.ndarray, classes: tuple[str, ...], config: DatasetConfig, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(indices kept, their labels) of a training split with `labels` (N,), both int64 and in the split's order.

    Raises:
        UserError: when a class has fewer images than `shots_per_class`.
    """
    orders = _orders(labels, len(classes), seed)
    given = labels.copy()
    for index, order in enumerate(orders):
        _mislabel(given, order, index, len(classes), share=config.label_noise, seed=seed)
    sizes = _sizes(labels, classes, config)
    kept = np.sort(np.concatenate([order[:size] for order, size in zip(orders, sizes, strict=True)]))
    return kept, given[kept]


def _sizes(labels: np.ndarray, classes: tuple[str, ...], config: DatasetConfig) -> list[int]:
    """The number of images to keep of each class, at least one."""
    counts = np.bincount(labels, minlength=len(classes)).astype(float)
    if config.shots_per_class is not None:
        short = {name: n for name, n in count_by_class(labels, classes).items() if n < config.shots_per_class}
        if short:
            name, fewest = min(short.items(), key=lambda pair: pair[1])
            raise UserError(
                f"dataset.shots_per_class={config.shots_per_class} is more than the {fewest} training images of "
                f"'{name}'; set it to at most {fewest}"
            )
        return [config.shots_per_class] * len(classes)
    if config.imbalance > 1:
        # n_c = n_max * ratio^(-c / (K - 1)), Cui et al. 2019 (arXiv 1901.05555); n_max as large as the classes allow
        decay = config.imbalance ** (-np.arange(len(classes)) / (len(classes) - 1))
        counts = (counts / decay).min() * decay
    return [max(1, round(config.fraction * count)) for count in counts]


def _mislabel(given: np.ndarray, order: np.ndarray, label: int, num_classes: int, *, share: float, seed: int) -> None:
    """Give a `share` of the images in `order` a different class, drawn uniformly, in place.

    Systematic sampling along the random order gives every prefix, and so every nested subset, the same share.
    """
    stream = numpy_stream(seed, "noise", label)
    start, others = stream.random(), stream.integers(1, num_classes, size=len(order))
    steps = np.floor(np.arange(len(order) + 1) * share + start)
    chosen = np.diff(steps) > 0
    given[order[chosen]] = (label + others[chosen]) % num_classes
