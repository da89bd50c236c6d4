"""The contact sheet of predicted images, and where the network looked on each of them."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np
import torch

from vision2.inference.predictor import Predictions, Predictor, network_inputs
from vision2.pictures.contact_sheet import Tile, contact_sheet
from vision2.pictures.gradcam import cam_overlays
from vision2.pictures.images import as_pictures, save_picture

CAM_BATCH = 8  # backward passes hold activations


def write_pictures(folder: Path, predictor: Predictor, predictions: Predictions, *, at_most: int, gradcam: bool) -> str:
    """contact_sheet.png with up to `at_most` images spread over all, and gradcam/IMAGE.png of each of them.

    Returns:
        What was written, in words.
    """
    count = len(predictions.entries)
    shown = np.unique(np.linspace(0, count - 1, min(at_most, count)).round().astype(int)).tolist()
    entries = [predictions.entries[index] for index in shown]
    images = network_inputs(predictor, entries)
    pictures = as_pictures(images, predictor.network.preprocessing)
    likeliest = [predictions.top(index, 1)[0] for index in shown]
    explain = gradcam and predictor.explainable
    maps = _maps(predictor, images, [label for label, _ in likeliest]) if explain else None
    tiles = []
    for position, (entry, picture, (label, share)) in enumerate(zip(entries, pictures, likeliest, strict=True)):
        tiles.append(Tile(picture, entry.id, f"{share:.0%} {predictions.classes[label]}", share))
        if maps is not None:
            tiles.append(Tile(maps[position], entry.id, f"Grad-CAM: {predictions.classes[label]}"))
            save_picture(maps[position], folder / "gradcam" / f"{_inside(entry.id)}.png")
    save_picture(contact_sheet(tiles), folder / "contact_sheet.png")
    told = f"({len(shown)} of {count} images)"
    if gradcam:
        told += ", gradcam/" if maps is not None else "; no Grad-CAM: no gradient leads from its outputs to places"
    return told


def _inside(name: str) -> str:
    """A relative path that stays below the folder it is joined to: member names of a zip are not ours."""
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
