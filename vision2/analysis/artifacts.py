"""The small files a run leaves for reports: they need the network or the images, which a report does not have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from vision2.analysis.filters import first_layer_filters
from vision2.analysis.gradcam import cam_overlays
from vision2.analysis.mistakes import find_mistakes, save_mistakes
from vision2.analysis.pictures import as_pictures, captioned_grid, collect_images, save_figure, save_picture
from vision2.basics.files import replacing
from vision2.basics.preprocessing import Preprocessing

PREDICTIONS = "predictions.npz"
CAM_IMAGES = 4  # of each: mistakes, and images that were right
HALF_PRECISION_ABOVE = 2_000_000  # probabilities; a thousand classes would make the file larger than the checkpoint


def write_artifacts(
    run_dir: Path,
    *,
    network: nn.Module | None,
    batches,
    classes: Sequence[str],
    probabilities: np.ndarray,
    labels: np.ndarray,
    ids: Sequence[str],
    preprocessing: Preprocessing,
) -> dict[str, Path]:
    """Write predictions.npz and artifacts/*.png of a run; returns the pictures by name.

    Args:
        network: in evaluation; None where no network speaks (a k-NN on cached features): no Grad-CAM, no filters.
        batches: evaluation batches of the split that was predicted; their `indices` count in the split.
        probabilities: (N, K) in the order of the split, as are `labels` (N,) and `ids`.
    """
    run_dir = Path(run_dir)
    save_predictions(run_dir, probabilities, labels, ids)
    mistakes = find_mistakes(probabilities, labels, classes, ids)
    written = save_mistakes(run_dir, mistakes, batches=batches, preprocessing=preprocessing)
    if network is None:
        return written
    filters = first_layer_filters(network)
    if filters is not None:
        written["filters"] = run_dir / "artifacts" / "filters.png"
        save_picture(filters, written["filters"])
    shown = [mistake.index for mistake in mistakes[:CAM_IMAGES]] + _sure_and_right(probabilities, labels)[:CAM_IMAGES]
    network.eval()
    images = collect_images(batches, shown).to(next(network.parameters()).device)
    looked = [
        cam_overlays(network, images, of, preprocessing) for of in (probabilities.argmax(1)[shown], labels[shown])
    ]
    if looked[0] is not None:
        triples = zip(as_pictures(images, preprocessing), *looked, strict=True)
        captions = [text for index in shown for text in _cam_captions(probabilities[index], labels[index], classes)]
        written["gradcam"] = run_dir / "artifacts" / "gradcam.png"
        save_figure(captioned_grid([picture for triple in triples for picture in triple], captions), written["gradcam"])
    return written


def save_predictions(run_dir: Path, probabilities: np.ndarray, labels: np.ndarray, ids: Sequence[str]) -> None:
    """predictions.npz with plain arrays only, so that it opens with `np.load(..., allow_pickle=False)`."""
    kind = np.float32 if probabilities.size <= HALF_PRECISION_ABOVE else np.float16
    with replacing(run_dir / PREDICTIONS) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            probabilities=np.asarray(probabilities, dtype=kind),
            labels=np.asarray(labels, dtype=np.int64),
            ids=np.array([str(name) for name in ids], dtype=np.str_),
        )


def _sure_and_right(probabilities: np.ndarray, labels: np.ndarray) -> list[int]:
    """Samples that were right, surest first; one of each class before the rest, for one class alone would say little."""
    predicted = probabilities.argmax(1)
    right = np.flatnonzero(predicted == labels)
    right = right[np.argsort(-probabilities[right, predicted[right]], kind="stable")].tolist()
    first = list({labels[index]: index for index in reversed(right)}.values())[::-1]
    return first + [index for index in right if index not in set(first)]


def _cam_captions(probabilities: np.ndarray, label: int, classes: Sequence[str]) -> tuple[str, str, str]:
    """Above the image its class, above each map the class it explains and that class's probability."""
    named = [f"{str(classes[index])[:14]} {probabilities[index]:.0%}" for index in (probabilities.argmax(), label)]
    return str(classes[label])[:14], named[0], named[1]
