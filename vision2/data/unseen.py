"""Unseen classes, for zero-shot learning: they keep their test images and have no other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vision2.basics.errors import UserError, suggest
from vision2.basics.randomness import numpy_stream
from vision2.data.settings import DatasetConfig


def unseen_classes(config: DatasetConfig, classes: Sequence[str], *, seed: int) -> tuple[int, ...]:
    """Positions in `classes` of those in `config.unseen`, or of `config.unseen_drawn` of them drawn with the seed.

    Raises:
        UserError: for a class that the data set does not have, or when fewer than two are left to learn from.
    """
    if config.unseen is None and config.unseen_drawn is None:
        return ()
    if config.unseen is None:
        chosen = sorted(numpy_stream(seed, "unseen").permutation(len(classes))[: config.unseen_drawn].tolist())
    else:
        wanted = [str(name) for name in config.unseen]
        problems = [f"dataset.unseen: there is no class '{n}'{suggest(n, classes)}" for n in wanted if n not in classes]
        if problems:
            raise UserError(*problems)
        chosen = sorted({classes.index(name) for name in wanted})
    if len(classes) - len(chosen) < 2:
        raise UserError(f"{len(chosen)} of the {len(classes)} classes are unseen; leave at least two to learn from")
    return tuple(chosen)


def seen_images(labels: np.ndarray, unseen: Sequence[int]) -> np.ndarray:
    """Positions (M,) of the images of seen classes."""
    return np.flatnonzero(~np.isin(labels, unseen))
