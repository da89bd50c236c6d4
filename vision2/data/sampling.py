"""The order of an epoch, the random numbers of each sample's augmentation, and class weights."""

from __future__ import annotations

import numpy as np

from vision2.basics.randomness import derive_seed, numpy_stream

# One random stream per augmentation, so that switching one on does not change the draws of the others.
LANES = ("crop", "flip", "jitter", "rand_augment", "erasing", "mix")
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def epoch_order(labels: np.ndarray, *, seed: int, epoch: int, shuffle: bool, sampler: str = "shuffle") -> np.ndarray:
    """(N,) sample positions of one epoch, which depend only on seed and epoch.

    `sampler="balanced"` draws with replacement so that every class present is equally likely; the epoch keeps its length.
    """
    if not shuffle:
        return np.arange(len(labels), dtype=np.int64)
    generator = numpy_stream(seed, "shuffle", epoch)
    if sampler == "balanced":
        counts = np.bincount(labels)
        weights = 1.0 / counts[labels]
        return generator.choice(len(labels), size=len(labels), p=weights / weights.sum()).astype(np.int64)
    return generator.permutation(len(labels)).astype(np.int64)


def draw_numbers(order: np.ndarray) -> np.ndarray:
    """(N,) numbers that determine the augmentation of each sample shown: its position, or a new number for each repeat.

    Otherwise, a sample drawn twice by the balanced sampler would look the same both times.
    """
    ranks = np.argsort(order, kind="stable")
    ordered = order[ranks]
    first = np.searchsorted(ordered, ordered, side="left")
    repeats = np.empty_like(order)
    repeats[ranks] = np.arange(len(order)) - first
    return order + len(order) * repeats


def uniforms(seed: int, epoch: int, lane: str, samples: np.ndarray, count: int) -> np.ndarray:
    """(B, count) float64 in [0, 1) for the B sample numbers: row i depends only on seed, epoch, lane and samples[i].

    A counter-based generator: two rounds of the SplitMix64 mixer (Steele et al. 2014) over key, sample and column. One
    generator object per sample would cost more than the augmentation itself.
    """
    key = np.uint64(derive_seed(seed, "augment", epoch, LANES.index(lane)))
    with np.errstate(over="ignore"):
        rows = _mix(np.asarray(samples).astype(np.uint64) * _GOLDEN + key)
        columns = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
        bits = _mix(rows[:, None] + columns[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """(K,) float32 `balanced` weights n / (K * n_k), as defined by scikit-learn; a class without samples gets 0.

    In the formula, K counts only the classes that have samples, so that the mean weight over the samples is 1.
    """
    counts = np.bincount(labels, minlength=num_classes)
    present = counts > 0
    weights = np.zeros(num_classes, dtype=np.float32)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights
