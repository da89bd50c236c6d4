"""Random numbers that belong to a sample: f(seed, epoch, lane, sample), whatever the batch size or the worker."""

from __future__ import annotations

import numpy as np

from vision2.basics.randomness import derive_seed

# One lane per augmentation, so that switching one on leaves the draws of the others as they were.
LANES = ("crop", "flip", "jitter", "rand_augment", "erasing", "mix")

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniforms(seed: int, epoch: int, lane: str, samples: np.ndarray, count: int) -> np.ndarray:
    """(B, count) float64 in [0, 1) for the B sample numbers: row i depends on `samples[i]` only.

    A counter-based generator: two rounds of the SplitMix64 mixer (Steele et al. 2014) over key, sample and column. One
    generator object a sample would cost more than the augmentation itself.
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
