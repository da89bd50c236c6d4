"""The files of `predict out=FOLDER`: tables for programs; for people a contact sheet and where the network looked."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np
import torch

from vision2.basics.atomic_write import write_text
from vision2.basics.written import WrittenFiles
from vision2.inference.prediction_tables import as_csv, as_json
from vision2.inference.predictor import Predictions, Predictor, network_inputs
from vision2.pictures.contact_sheet import Tile, contact_sheet
from vision2.pictures.gradcam import cam_overlays
from vision2.pictures.images import as_pictures, save_picture

CAM_BATCH = 8  # backward passes hold activations
FILES = ("predictions.csv", "predictions.json", "contact_sheet.png")


def write_files(
    files: WrittenFiles, predictor: Predictor, predictions: Predictions, *, top: int, shown: int, gradcam: bool
) -> str:
    """predictions.csv, predictions.json, contact_sheet.png with up to `shown` images, gradcam/IMAGE.png of each of them.

    Returns:
        What was written, in words.
    """
    for name, text in zip(FILES, (as_csv, as_json), strict=False):
        write_text(files.path(name), text(predictions, predictor, top))
    count = len(predictions.entries)
    indices = np.unique(np.linspace(0, count - 1, min(shown, count)).round().astype(int)).tolist()  # spread over all
    maps = _write_pictures(files, predictor, predictions, indices, gradcam=gradcam)
    words = f"{files.folder}/{', '.join(FILES)} ({len(indices)} of {count} images)"
    if gradcam:
        words += ", gradcam/" if maps else "; no Grad-CAM: this network passes no gradients back to the image"
    return words


def _write_pictures(
    files: WrittenFiles, predictor: Predictor, predictions: Predictions, indices: list[int], *, gradcam: bool
) -> bool:
    """The contact sheet of some images; whether there are maps of them."""
    entries = [predictions.entries[index] for index in indices]
    images = network_inputs(predictor, entries)
    pictures = as_pictures(images, predictor.network.preprocessing)
    first = [predictions.top(index, 1)[0] for index in indices]
    maps = _maps(predictor, images, [label for label, _ in first]) if gradcam and predictor.explainable else None
    tiles = []
    for position, (entry, picture, (label, share)) in enumerate(zip(entries, pictures, first, strict=True)):
        name = predictions.classes[label]
        tiles.append(Tile(picture, entry.id, f"{share:.0%} {name}", share))
        if maps is not None:
            tiles.append(Tile(maps[position], entry.id, f"Grad-CAM: {name}"))
            save_picture(maps[position], files.path(f"gradcam/{_inside(entry.id)}.png"))
    save_picture(contact_sheet(tiles), files.path(FILES[-1]))
    return maps is not None


def _inside(name: str) -> str:
    """A relative path that stays below the folder it is joined to: whoever made a zip chose its member names."""
    parts = PurePath(name).parts
    return "/".join(part for part in parts if part not in ("..", PurePath(name).anchor)) or "image"


def _maps(predictor: Predictor, images: torch.Tensor, labels: list[int]) -> np.ndarray | None:
    """(N, S, S, 3) uint8 overlays; None for a network without a spatial layer."""
    found = []
    for start in range(0, len(images), CAM_BATCH):
        part = slice(start, start + CAM_BATCH)
        overlays = cam_overlays(predictor.network, images[part], labels[part], predictor.network.preprocessing)
        if overlays is None:
            return None
        found.append(overlays)
    return np.concatenate(found)
