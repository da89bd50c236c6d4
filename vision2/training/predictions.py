"""Predictions of a network on a split, always in float32, so that metrics do not depend on the batch size."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from vision2.basics.errors import TrainingDiverged
from vision2.training.ranks import ONE_RANK, Ranks


class Predictions(NamedTuple):
    """`probabilities` (N, K) float32 and `labels` (N,), in the order of the split."""

    probabilities: np.ndarray
    labels: np.ndarray


@torch.inference_mode()
def predict(
    network: nn.Module,
    batches,
    advance: Callable[[int], None] | None = None,
    *,
    forward: Callable | None = None,
    ranks: Ranks = ONE_RANK,
) -> Predictions:
    """Return the softmax outputs for all images of `batches`, in the order of the split.

    Args:
        advance: called with the number of images after each batch.
        forward: maps a batch to outputs; by default `network` itself (for features, `network.classify`).
        ranks: the processes that share the batches; each gets the predictions for all images.

    Raises:
        TrainingDiverged: when an output is NaN or infinite, because the accuracy would be meaningless.
    """
    network.eval()
    forward = forward or network
    made = []
    for batch in batches.epoch(0, ranks.place):
        found = forward(batch.images).logits.float().softmax(1).cpu()
        made.append((found, batch.labels.cpu(), torch.as_tensor(batch.indices).cpu()))
        if advance is not None:
            advance(len(batch.labels) * ranks.size)
    probabilities, labels, indices = zip(*ranks.gather(made), strict=True)
    order = torch.cat(indices).argsort()
    found = torch.cat(probabilities)[order]
    if not found.isfinite().all():
        raise TrainingDiverged(
            f"the outputs of the network for {int((~found.isfinite()).any(1).sum())} of {len(found)} images are NaN or"
            " infinite because its weights have diverged; try a lower strategy.lr or train.clip_norm=1"
        )
    return Predictions(found.numpy(), torch.cat(labels)[order].numpy())
