"""Checks of the batches that training and evaluation get: their scale and their order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import numpy as np
import torch

from vision2.basics.preprocessing import Preprocessing
from vision2.checkup.finding import Finding, judged, worst
from vision2.data.batches import Batch, Batches
from vision2.data.dataset import Dataset

PART = "data"
# Augmentation and the choice of a batch move both by less; a forgotten normalisation divides the deviation by two to four.
OFF_MEAN, OFF_SCALE = 0.75, 1.6


def first_batches(batches: Batches, count: int, epoch: int = 1) -> list[Batch]:
    return list(islice(batches.epoch(epoch), count))


def check_batches(data: Dataset, images: Mapping[str, Batches], preprocessing: Preprocessing) -> list[Finding]:
    """All checks of the batches of a task."""
    mean, std = map(np.array, data.statistics())
    wanted = (mean - preprocessing.mean) / preprocessing.std, std / preprocessing.std
    scales = {name: scale_of(torch.cat([batch.images for batch in first_batches(images[name], 2)])) for name in images}
    return [check_scale(scales, wanted), check_order(images["train"])]


def scale_of(images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (3,) of each channel."""
    std, mean = torch.std_mean(images.float(), (0, 2, 3), correction=0)
    return mean.cpu().numpy(), std.cpu().numpy()


def check_scale(scales: Mapping[str, tuple], wanted: tuple[np.ndarray, np.ndarray]) -> Finding:
    """Whether every split is normalised as the weights want it."""
    mean, std = wanted

    def off(scale: tuple[np.ndarray, np.ndarray]) -> bool:
        shift = np.abs(scale[0] - mean).mean() / max(float(std.mean()), 1e-6)
        ratio = float(scale[1].mean()) / max(float(std.mean()), 1e-6)
        return bool(shift > OFF_MEAN or not 1 / OFF_SCALE < ratio < OFF_SCALE)

    wrong = [name for name, scale in scales.items() if off(scale)]
    shown = ", ".join(f"{name} {scale[0].mean():.2f} ± {scale[1].mean():.2f}" for name, scale in scales.items())
    return judged(
        PART, "normalisation", worst(bool(wrong)),
        seen=f"mean and deviation of the input: {shown}; wanted {mean.mean():.2f} ± {std.mean():.2f}",
        why="a network that was trained on one scale sees another world on a different one",
        todo=f"normalise the images of {' and '.join(wrong)} with the mean and deviation that belong to the weights",
    )  # fmt: skip


def check_order(train: Batches) -> Finding:
    """Whether batches hold a mixture of classes and their order changes between epochs."""
    first, again = first_batches(train, 1, epoch=1)[0], first_batches(train, 1, epoch=2)[0]
    shares = np.bincount(train.labels) / len(train.labels)
    if train.sampler == "balanced":
        shares = (shares > 0) / (shares > 0).sum()
    classes, expected = len(first.labels.unique()), float((1 - (1 - shares) ** len(first.labels)).sum())
    same = torch.equal(first.indices, again.indices) and len(first.indices) > 1
    return judged(
        PART, "batches are shuffled", worst(classes < 0.5 * expected, same),
        seen=f"{classes} classes in a batch of {len(first.labels)} (about {expected:.0f} if drawn at random);"
        f" {'the same' if same else 'another'} order in the next epoch",
        why="with one class per batch, each step unlearns the others, and batch norm sees one class at a time",
        todo="shuffle the training images before every epoch",
    )  # fmt: skip
