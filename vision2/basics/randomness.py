"""Explicit randomness: one independent stream per purpose, derived from (seed, purpose, epoch, ...).

Adding an augmentation must not change the split, so no two purposes ever share a generator.
"""

from __future__ import annotations

import hashlib

import numpy as np

PURPOSES = ("split", "subset", "noise", "init", "shuffle", "augment", "mix", "episodes", "probe", "classifier", "unseen")


def derive_seed(seed: int, purpose: str, *steps: int) -> int:
    """A 63-bit seed for one purpose; `steps` are the epoch, the sample or anything else that distinguishes draws.

    Raises:
        ValueError: for a purpose that is not in `PURPOSES`.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"unknown random purpose {purpose!r}")
    text = "/".join([str(seed), purpose, *map(str, steps)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_stream(seed: int, purpose: str, *steps: int) -> np.random.Generator:
    return np.random.default_rng(derive_seed(seed, purpose, *steps))
