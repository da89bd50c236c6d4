"""Log the results of a finished run to TensorBoard: pictures, precision-recall curves and an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from vision2.basics.preprocessing import Preprocessing
from vision2.basics.safe_text import printable
from vision2.pictures.confusion import confusion_figure
from vision2.pictures.episode_scores import scores_figure
from vision2.pictures.images import as_pictures, figure_pixels
from vision2.runs.tensorboard import EMBEDDINGS_AT_MOST, TensorBoardTracker

THUMBNAIL_PX = 32


def log_results(
    tracker: TensorBoardTracker,
    pictures: dict[str, Path],
    *,
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    confusion: Sequence[Sequence[int]] | None,
) -> None:
    """Log the test results: the pictures of `write_artifacts`, precision-recall curves and the confusion matrix."""
    for name, path in pictures.items():
        tracker.log_png(f"pictures/{name}", path)
    tracker.log_pr_curves(probabilities, labels, [printable(name) for name in classes])
    if confusion is not None:
        tracker.log_picture("confusion/test", figure_pixels(confusion_figure(confusion, classes)))


def log_episode(tracker: TensorBoardTracker, support: torch.Tensor, query: torch.Tensor, scores: np.ndarray, preprocessing):
    """Log one test episode: normalised images of the support and to classify, each (way, 3, S, S), and scores (way, way)."""
    pictures = (as_pictures(images, preprocessing) for images in (support, query))
    tracker.log_picture("episode/test", figure_pixels(scores_figure(*pictures, scores)))


@torch.no_grad()
def log_embedding(
    tracker: TensorBoardTracker,
    network: nn.Module,
    batches,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    *,
    known: torch.Tensor | None = None,
    tag: str = "features",
) -> None:
    """Log the features of the first 2,000 images of `batches`, with thumbnails; shuffle the split to show all classes.

    `known` (N, D): the features of the whole split, if they have already been computed.
    """
    network.eval()
    features, labels, thumbnails = [], [], []
    for batch in batches.epoch(0):
        made = network.features(batch.images) if known is None else known[batch.indices]
        features.append(made.float().cpu())
        labels += [printable(str(classes[label])) for label in batch.labels.tolist()]
        small = interpolate(batch.images.float(), size=(THUMBNAIL_PX, THUMBNAIL_PX), mode="area")
        thumbnails.append(torch.from_numpy(as_pictures(small, preprocessing)).permute(0, 3, 1, 2) / 255)
        if len(labels) >= EMBEDDINGS_AT_MOST:
            break
    tracker.log_embedding(torch.cat(features), labels, torch.cat(thumbnails), tag=tag)
