"""Small files that a run writes for later reports, while its network and images are available."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from vision2.basics.atomic_write import replacing
from vision2.basics.preprocessing import Preprocessing
from vision2.basics.run_files import PREDICTIONS
from vision2.basics.safe_text import printable
from vision2.basics.written import WrittenFiles
from vision2.pictures.filters import first_layer_filters
from vision2.pictures.gradcam import cam_overlays
from vision2.pictures.images import as_pictures, captioned_grid, collect_images, save_figure, save_picture
from vision2.pictures.mistakes import MISTAKES_FILE, find_mistakes, save_mistakes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = ("mistakes_confident", "mistakes_worst", "filters", "gradcam")
CAM_IMAGES = 4  # mistakes, and as many correct predictions
HALF_PRECISION_ABOVE = 2_000_000  # probabilities; with a thousand classes the file would be larger than the checkpoint


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
    """Write predictions.npz and artifacts/*.png of a run; return the paths of the pictures by name.

    Args:
        network: the network in evaluation mode; None for a classifier without gradients (k-NN on stored features), which
            has no Grad-CAM and no filters.
        batches: evaluation batches of the predicted split; their `indices` are positions in it.
        probabilities: (N, K) in the order of the split, as are `labels` (N,) and `ids`.
    """
    files = WrittenFiles(run_dir / "artifacts")
    if (run_dir / PREDICTIONS).exists():  # written before the run was resumed
        files.adopt([MISTAKES_FILE, *(f"{name}.png" for name in PICTURES)])
        files.clear()
    save_predictions(run_dir, probabilities, labels, ids)
    mistakes = find_mistakes(probabilities, labels, classes, ids)
    written = save_mistakes(files, mistakes, batches=batches, preprocessing=preprocessing)
    if network is None:
        return written
    filters = first_layer_filters(network)
    if filters is not None:
        written["filters"] = files.path("filters.png")
        save_picture(filters, written["filters"])
    shown = [mistake.index for mistake in mistakes[:CAM_IMAGES]] + _confident_and_correct(probabilities, labels)[:CAM_IMAGES]
    images = collect_images(batches, shown).to(next(network.parameters()).device)
    about = {"classes": classes, "preprocessing": preprocessing}
    figure = _cam_figure(network, images, probabilities[shown], labels[shown], **about)
    if figure is not None:
        written["gradcam"] = files.path("gradcam.png")
        save_figure(figure, written["gradcam"])
    return written


def _cam_figure(
    network: nn.Module,
    images: Tensor,
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    classes: Sequence[str],
    preprocessing: Preprocessing,
) -> Figure | None:
    """A grid of each image followed by two maps with their classes; None for a network without a spatial layer."""
    network.eval()
    explained = explained_classes(probabilities, labels)
    maps = cam_overlays(network, images, explained, preprocessing)
    if maps is None:
        return None
    names = [printable(str(name))[:14] for name in classes]
    captions = []
    for row, label, pair in zip(probabilities, labels, explained, strict=True):
        captions += [names[label], *(f"{names[of]} {row[of]:.0%}" for of in pair)]
    rows = zip(as_pictures(images, preprocessing), maps, strict=True)
    return captioned_grid([picture for image, pair in rows for picture in (image, *pair)], captions)


def save_predictions(run_dir: Path, probabilities: np.ndarray, labels: np.ndarray, ids: Sequence[str]) -> None:
    """Write predictions.npz with plain arrays only, so that `np.load(..., allow_pickle=False)` can open it."""
    kind = np.float32 if probabilities.size <= HALF_PRECISION_ABOVE else np.float16
    with replacing(run_dir / PREDICTIONS) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            probabilities=np.asarray(probabilities, dtype=kind),
            labels=np.asarray(labels, dtype=np.int64),
            ids=np.array([str(name) for name in ids], dtype=np.str_),
        )


def _confident_and_correct(probabilities: np.ndarray, labels: np.ndarray) -> list[int]:
    """Indices of correct samples, most confident first; one per class before the rest, so that several classes appear."""
    predicted = probabilities.argmax(1)
    right = np.flatnonzero(predicted == labels)
    right = right[np.argsort(-probabilities[right, predicted[right]], kind="stable")].tolist()
    first = list({labels[index]: index for index in reversed(right)}.values())[::-1]
    return first + [index for index in right if index not in set(first)]


def explained_classes(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Classes to explain (N, 2): the predicted class, and the true class or, if they agree, the runner-up."""
    order = (-probabilities).argsort(1, kind="stable")
    return np.stack([order[:, 0], np.where(order[:, 0] == labels, order[:, 1], labels)], axis=1)
