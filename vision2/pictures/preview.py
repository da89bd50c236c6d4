"""A grid of the pictures a network sees, for `python -m vision2.preview`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vision2.pictures.images import as_pictures, collect_images

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from vision2.basics.preprocessing import Preprocessing

COLUMNS = 8
LEAST_SHARE = 0.005  # classes with a smaller share of a mixed image are not named


def preview_grid(
    batches, evaluation, *, count: int, preprocessing: Preprocessing, classes: Sequence[str]
) -> tuple[list[np.ndarray], list[str]]:
    """The pictures and captions of the first `count` images of epoch 1, in rows of `COLUMNS`.

    If `evaluation` is given (batches of the same split without augmentation), each row is followed by a row of the same
    images as evaluated.
    """
    images, targets, labels, indices = first_images(batches, count)
    views = [(as_pictures(images, preprocessing), captions_of(targets, classes))]
    if evaluation is not None:
        same = as_pictures(collect_images(evaluation, indices.tolist()), preprocessing)
        views.append((same, [f"{classes[label]} (evaluation)" for label in labels.tolist()]))
    pictures, captions = [], []
    for start in range(0, len(labels), COLUMNS):
        for shown, names in views:
            row = slice(start, start + COLUMNS)
            free = COLUMNS - len(names[row])
            pictures += [*shown[row], *[shown[0] * 0 + 255] * free]
            captions += [*names[row], *[""] * free]
    return pictures, captions


def first_images(batches, count: int) -> list[Tensor]:
    """The tensors of the first `count` images; the targets of mixed batches are shares of classes."""
    import torch

    found = []
    for batch in batches.epoch(1):
        found.append(batch)
        if sum(len(part.labels) for part in found) >= count:
            break
    return [torch.cat(tensors)[:count] for tensors in zip(*found, strict=True)]


def captions_of(targets: Tensor, classes: Sequence[str]) -> list[str]:
    """The class name of each target (N,), or the class shares of each mixed target (N, K)."""
    if targets.ndim == 1:
        return [classes[label] for label in targets.tolist()]
    return [_shares(target, classes) for target in targets.tolist()]


def _shares(target: list[float], classes: Sequence[str]) -> str:
    parts = [(share, name) for share, name in zip(target, classes, strict=True) if share > LEAST_SHARE]
    return " + ".join(f"{share:.0%} {name}" for share, name in sorted(parts, reverse=True))
