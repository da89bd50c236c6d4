"""Predictions of a network over a split, always in float32 so that the figures do not depend on the batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from vision2.basics.errors import TrainingDiverged


class Predictions(NamedTuple):
    """`probabilities` (N, K) float32 and `labels` (N,), in the order of the split."""

    probabilities: np.ndarray
    labels: np.ndarray


@torch.inference_mode()
def predict(network: nn.Module, batches, progress=None) -> Predictions:
    """Softmax outputs for every image of `batches` (evaluation order, nothing dropped).

    Raises:
        TrainingDiverged: when one of them is no finite number: accuracies of such a network mean nothing.
    """
    network.eval()
    probabilities, labels, indices = [], [], []
    for batch in batches.epoch(0):
        probabilities.append(network(batch.images).logits.float().softmax(1).cpu())
        labels.append(batch.labels.cpu())
        indices.append(torch.as_tensor(batch.indices).cpu())
        if progress is not None:
            progress(len(batch.labels))
    order = torch.cat(indices).argsort()
    found = torch.cat(probabilities)[order]
    if not found.isfinite().all():
        raise TrainingDiverged(
            f"the outputs of the network for {int((~found.isfinite()).any(1).sum())} of {len(found)} images are no"
            " finite numbers, its weights have diverged; try a lower strategy.lr or train.clip_norm=1"
        )
    return Predictions(found.numpy(), torch.cat(labels)[order].numpy())
