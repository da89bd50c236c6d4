"""Faults in the images and labels of a data set. Each function takes the correct data set and the seed of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vision2.basics.randomness import numpy_stream
from vision2.data.collection import count_by_class
from vision2.data.dataset import Dataset, Split


def spoilt_data(fault: str | None, data: Dataset, *, seed: int) -> Dataset:
    """The data set with this fault, or the same one if the fault lies elsewhere or there is none."""
    if fault not in DATA_FAULTS:
        return data
    spoilt = DATA_FAULTS[fault](data, seed)
    splits = (spoilt.train, spoilt.val, spoilt.test)
    counts = {split.name: count_by_class(split.labels, data.classes) for split in splits}
    return replace(spoilt, report=data.report | {"counts": counts})


def shuffled_labels(data: Dataset, seed: int) -> Dataset:
    """Training labels in random order: each class keeps its number of images (Zhang et al. 2017, section 2.1)."""
    order = numpy_stream(seed, "noise", 1).permutation(len(data.train))  # step 1: `label_noise` draws without a step
    return replace(data, train=replace(data.train, labels=data.train.labels[order]))


def leaky_split(data: Dataset, seed: int) -> Dataset:
    """A copy of every test image among the training images, as if duplicates had been made before the split."""
    train, test = data.train, data.test
    images = train.images.select(np.arange(len(train)))  # all splits show rows of the same pixels
    images.rows = np.concatenate([train.images.rows, test.images.rows])
    labels = np.concatenate([train.labels, test.labels])
    return replace(data, train=Split(train.name, labels, (*train.ids, *test.ids), images))


def test_selected(data: Dataset, seed: int) -> Dataset:
    """The test images as validation images too, so that the best epoch is chosen on them."""
    return replace(data, val=replace(data.test, name=data.val.name))


def classes_by_position(data: Dataset, seed: int) -> Dataset:
    """Validation and test classes numbered in the order in which the test images list them, not in that of training."""
    numbers = listed_order(data.test.labels, len(data.classes))
    val, test = (replace(split, labels=numbers[split.labels]) for split in (data.val, data.test))
    return replace(data, val=val, test=test)


def listed_order(labels: Sequence[int], num_classes: int) -> np.ndarray:
    """(K,) the number of each class by its first appearance in `labels`; reversed if that is the correct order by chance."""
    seen = list(dict.fromkeys(np.asarray(labels).tolist()))
    order = [*seen, *(label for label in range(num_classes) if label not in seen)]
    if order == sorted(order):
        order.reverse()
    return np.argsort(order)


DATA_FAULTS = {
    "shuffled_labels": shuffled_labels,
    "leaky_split": leaky_split,
    "test_selected": test_selected,
    "classes_by_position": classes_by_position,
}
