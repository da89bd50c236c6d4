"""Predictions for loose image files: read by the same rules as training data, shown as text, CSV or JSON."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from vision2.basics.errors import UserError
from vision2.basics.text_table import as_text
from vision2.data.augment.view import View
from vision2.data.files.decode import BadImage, decode_image
from vision2.data.files.listing import FileEntry, existing_folder, list_images
from vision2.models.network import Network

THREADS = 4
MOST_COMMON = 3  # predictions named for a folder


@dataclass(frozen=True)
class Predictor:
    """A network in evaluation mode with the names of its outputs.

    `decode_px`: photographs are read at this shorter side, as the run's own data set was; None reads them whole.
    `explainable`: whether a gradient flows back from its outputs, as Grad-CAM needs; from votes of neighbours none does.
    """

    network: Network
    classes: tuple[str, ...]
    source: str
    decode_px: int | None
    explainable: bool = True

    @property
    def device(self) -> torch.device:
        return next(self.network.backbone.parameters()).device


@dataclass
class Predictions:
    """`probabilities` (N, K) of the images that could be read, in the order of `entries`."""

    classes: tuple[str, ...]
    entries: list[FileEntry] = field(default_factory=list)
    probabilities: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    unreadable: dict[str, str] = field(default_factory=dict)  # id -> reason

    def top(self, index: int, count: int) -> list[tuple[int, float]]:
        """(class, probability) of one image, the likeliest first."""
        row = self.probabilities[index]
        order = np.argsort(-row, kind="stable")[:count]
        return [(int(found), float(row[found])) for found in order]


def find_images(place: str) -> list[FileEntry]:
    """The images at `place`: one file, a folder with whatever lies below it, or a zip.

    Raises:
        UserError: when there is no such place, or no image in it.
    """
    path = existing_folder(Path(place).expanduser(), "images")
    if path.is_file() and path.suffix.lower() != ".zip":
        return [FileEntry(path, path.name)]
    found = list_images(path)
    if not found:
        raise UserError(f"images={place} holds no images; files ending in .jpg, .png and the like are looked for")
    return found


def predict_images(
    predictor: Predictor,
    entries: Sequence[FileEntry],
    *,
    batch_size: int,
    progress: Callable[[int], object] | None = None,
) -> Predictions:
    """Predict every file that can be read; the others are listed with the reason.

    Raises:
        UserError: when none can be read.
    """
    result, found = Predictions(predictor.classes), []
    for part, images in _inputs(predictor, entries, batch_size, result.unreadable):
        with torch.inference_mode():
            found.append(predictor.network(images).logits.float().softmax(1).cpu().numpy())
        result.entries += part
        if progress is not None:
            progress(batch_size)
    if not found:
        name, reason = next(iter(result.unreadable.items()))
        raise UserError(f"none of the {len(entries)} images can be read; first: {name} ({reason})")
    result.probabilities = np.concatenate(found)
    return result


def network_inputs(predictor: Predictor, entries: Sequence[FileEntry]) -> Tensor:
    """(N, 3, S, S) normalised on the device: what the network saw of images that can be read."""
    return torch.cat([images for _, images in _inputs(predictor, entries, len(entries) or 1, {})])


def _inputs(
    predictor: Predictor, entries: Sequence[FileEntry], batch_size: int, unreadable: dict[str, str]
) -> Iterator[tuple[list[FileEntry], Tensor]]:
    """Batches of the readable files and their images; a batch with none is left out."""
    view = View(predictor.network.preprocessing, augment=None, seed=0, num_classes=len(predictor.classes))

    def read(entry: FileEntry) -> Tensor | str:
        try:
            image = decode_image(entry.read_bytes(), shorter_side_px=predictor.decode_px)
        except (BadImage, OSError) as error:
            return str(error)
        return view.crop_one_by_one([image], 0, np.zeros(1, np.int64))

    with ThreadPoolExecutor(THREADS, "predict") as pool:
        for start in range(0, len(entries), batch_size):
            part = entries[start : start + batch_size]
            kept, crops = [], []
            for entry, outcome in zip(part, pool.map(read, part), strict=True):
                if isinstance(outcome, str):
                    unreadable[entry.id] = outcome
                else:
                    kept.append(entry)
                    crops.append(outcome)
            if kept:
                images = view.normalise(torch.cat(crops).to(predictor.device))
                yield kept, images.to(memory_format=torch.channels_last)


def as_table(predictions: Predictions, top: int) -> str:
    """A line for each image with its likeliest classes, then what could not be read, then the folders."""
    top = min(top, len(predictions.classes))
    rows = []
    for index, entry in enumerate(predictions.entries):
        named = [f"{predictions.classes[label]} {share:.1%}" for label, share in predictions.top(index, top)]
        rows.append([entry.id, *named])
    headings = ["image", *(f"{rank}." for rank in range(1, top + 1))]
    parts = [as_text(headings, rows)]
    if predictions.unreadable:
        parts.append("not readable:\n" + "\n".join(f"  {name}: {why}" for name, why in predictions.unreadable.items()))
    if len(predictions.entries) > 1:
        parts.append(as_text(*_folder_table(predictions)))
    return "\n\n".join(parts)


def as_csv(predictions: Predictions, top: int) -> str:
    """image, class and probability of the likeliest, then those of the next ones."""
    top = min(top, len(predictions.classes))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    more = [name for rank in range(2, top + 1) for name in (f"class_{rank}", f"probability_{rank}")]
    writer.writerow(["image", "class", "probability", *more])
    for index, entry in enumerate(predictions.entries):
        cells = [cell for label, p in predictions.top(index, top) for cell in (predictions.classes[label], f"{p:.6f}")]
        writer.writerow([entry.id, *cells])
    return stream.getvalue()


def as_record(predictions: Predictions, predictor: Predictor, top: int) -> dict:
    """Everything, in JSON's types."""
    images = [
        {
            "image": entry.id,
            "predictions": [
                {"class": predictions.classes[label], "index": label, "probability": round(share, 6)}
                for label, share in predictions.top(index, top)
            ],
        }
        for index, entry in enumerate(predictions.entries)
    ]
    return {
        "source": predictor.source,
        "model": predictor.network.name,
        "classes": list(predictions.classes),
        "preprocessing": predictor.network.preprocessing.to_dict(),
        "images": images,
        "unreadable": [{"image": name, "reason": why} for name, why in predictions.unreadable.items()],
        "folders": folders(predictions),
    }


def folders(predictions: Predictions) -> list[dict]:
    """For each folder: its images, what they were mostly taken for, and how many carry the folder's own name.

    `right` is None where the folder's name is no class of the network.
    """
    members: dict[str, list[int]] = {}
    for index, entry in enumerate(predictions.entries):
        members.setdefault(PurePosixPath(entry.id).parent.as_posix(), []).append(index)
    likeliest, names = predictions.probabilities.argmax(1), [name.lower() for name in predictions.classes]
    rows = []
    for folder, indices in sorted(members.items()):
        counts = Counter(predictions.classes[likeliest[index]] for index in indices)
        own = PurePosixPath(folder).name.lower()
        right = sum(names[likeliest[index]] == own for index in indices) if own in names else None
        rows.append({"folder": folder, "n": len(indices), "predicted": dict(counts.most_common()), "right": right})
    return rows


def _folder_table(predictions: Predictions) -> tuple[list[str], list[list[str]]]:
    rows = []
    for row in folders(predictions):
        common = list(row["predicted"].items())[:MOST_COMMON]
        named = ", ".join(f"{name} {count / row['n']:.1%}" for name, count in common)
        right = "-" if row["right"] is None else f"{row['right']} ({row['right'] / row['n']:.1%})"
        rows.append([row["folder"], str(row["n"]), named, right])
    return ["folder", "images", "mostly taken for", "right by the folder's name"], rows
