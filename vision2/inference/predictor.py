"""A network with class names, and its predictions for image files, which are read like training data."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import CROP_SHARE
from vision2.data.augment.view import View
from vision2.data.files.decode import BadImage, decode_entry
from vision2.data.files.listing import FileEntry, Listing, list_place
from vision2.data.files.locations import existing_path
from vision2.data.files.unused import describe_unused
from vision2.features.quick_pass import QuickPass
from vision2.inference.load_network import (
    backbone_of_weights,
    require_classes,
    trained_of_checkpoint,
    trained_of_weights,
)
from vision2.models.heads import COSINE
from vision2.models.network import Network
from vision2.models.settings import ModelConfig, WeightsConfig

THREADS = 4
LISTS = (".txt", ".csv")  # extensions of image lists
LIST_HEADINGS = ("image", "path", "file", "filename", "file_name")


@dataclass(frozen=True)
class Predictor:
    """A network in evaluation mode with the names of its outputs.

    `decode_px`: photographs are decoded at this shorter side, as in the run's own data set; None decodes them in full.
    """

    network: Network
    classes: tuple[str, ...]
    source: str
    decode_px: int | None
    are_named: bool = True  # if not, `classes` are numbers
    distance: str = COSINE  # to the prototypes of new classes

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
        """(class index, probability) of one image, the most probable class first."""
        row = self.probabilities[index]
        order = np.argsort(-row, kind="stable")[:count]
        return [(int(found), float(row[found])) for found in order]


def predictor_of_checkpoint(path: str, device: torch.device) -> Predictor:
    """The network of a checkpoint (or of the run folder that holds one); photographs are read as in its run."""
    found = trained_of_checkpoint(path, device)
    decode_px = round(found.network.preprocessing.image_size_px / CROP_SHARE)
    return Predictor(found.network, found.classes, found.source, decode_px, distance=found.distance)


def predictor_of_weights(
    weights: WeightsConfig, model: ModelConfig, image_size_px: int | None, device: torch.device
) -> Predictor:
    """A network with published or local weights and the classifier they come with; see `trained_of_weights`."""
    found = trained_of_weights(weights, model, image_size_px, device)
    return Predictor(found.network, found.classes, found.source, decode_px=None, are_named=found.are_named)


def predictor_of_backbone(
    weights: WeightsConfig, model: ModelConfig, image_size_px: int | None, device: torch.device
) -> Predictor:
    """A network with published or local weights and no classes yet, to be given to `with_support`."""
    found = backbone_of_weights(weights, model, image_size_px, device)
    return Predictor(found.network, found.classes, found.source, decode_px=None, distance=found.distance)


def list_images_of(place: str) -> Listing:
    """The images at `place` (a file, a folder and those below it, a zip, the lines of a list), and notes on the other files.

    Raises:
        UserError: if the place does not exist or holds no images.
    """
    path = existing_path(place, "images")
    if path.suffix.lower() in LISTS and path.is_file():
        return Listing(_listed(path))
    if path.is_file() and path.suffix.lower() != ".zip":
        return Listing([FileEntry(str(path), path.name)])
    listing = list_place(path)
    if not listing.images:
        unused = describe_unused(listing.notes.get("unused", ()))
        raise UserError(
            f"images={place} holds no images" + (f", only {unused}" if unused else "") + "; name another file or folder"
        )
    return listing


def _listed(file: Path) -> list[FileEntry]:
    """The files in the first column, relative to the list's own folder, in the list's order."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"images={file} cannot be read as a list ({error}); write one path per line, in UTF-8") from error
    rows = csv.reader(lines) if file.suffix.lower() == ".csv" else ([line.strip()] for line in lines)
    names = [row[0] for row in rows if row and row[0]]
    if names and names[0].lower() in LIST_HEADINGS and not (file.parent / names[0]).exists():
        names = names[1:]
    if not names:
        raise UserError(f"images={file} is an empty list; write one image path per line")
    return [FileEntry(str(file.parent / name), name) for name in names]


def predict_images(
    predictor: Predictor,
    entries: Sequence[FileEntry],
    *,
    batch_size: int,
    progress: Callable[[int], object] | None = None,
) -> Predictions:
    """Predict every file that can be read; list the others with the reason.

    Raises:
        UserError: if none can be read.
    """
    require_classes(predictor.network, predictor.source)
    result, found, forward = Predictions(predictor.classes), [], QuickPass(predictor.network, len(entries))
    for part, images in read_inputs(predictor, entries, batch_size, result.unreadable):
        with torch.inference_mode():
            found.append(forward(images).logits.float().softmax(1).cpu().numpy())
        result.entries += part
        if progress is not None:
            progress(batch_size)
    if not found:
        name, reason = next(iter(result.unreadable.items()))
        raise UserError(
            f"none of the images can be read ({len(entries)} given, the first {name}: {reason}); give others with images=FOLDER"
        )
    result.probabilities = np.concatenate(found)
    return result


def network_inputs(predictor: Predictor, entries: Sequence[FileEntry]) -> Tensor:
    """Normalised images (N, 3, S, S) on the device, as the network saw the readable ones."""
    return torch.cat([images for _, images in read_inputs(predictor, entries, len(entries) or 1, {})])


def read_inputs(
    predictor: Predictor, entries: Sequence[FileEntry], batch_size: int, unreadable: dict[str, str]
) -> Iterator[tuple[list[FileEntry], Tensor]]:
    """Yield the readable files of each batch and their images; a batch without any is skipped."""
    view = View(predictor.network.preprocessing, augment=None, seed=0, num_classes=len(predictor.classes))

    def read(entry: FileEntry) -> Tensor | str:
        try:
            image = decode_entry(entry, predictor.decode_px)
        except BadImage as error:
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
