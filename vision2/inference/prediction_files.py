"""Write predictions as a table, CSV, JSON, a contact sheet and attribution maps."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import PurePath, PurePosixPath

import numpy as np
import torch

from vision2.basics import text_table
from vision2.basics.atomic_write import write_text
from vision2.basics.safe_text import printable, printable_lines, spreadsheet_cell
from vision2.basics.text_table import as_text
from vision2.basics.written import WrittenFiles
from vision2.inference.predictor import Predictions, Predictor, network_inputs
from vision2.models.heads import is_differentiable
from vision2.pictures.contact_sheet import Tile, contact_sheet
from vision2.pictures.gradcam import cam_overlays
from vision2.pictures.images import as_pictures, save_picture

MOST_COMMON = 3  # predicted classes listed for each folder
CAM_BATCH = 8  # small, because backward passes keep activations in memory
FILES = ("predictions.csv", "predictions.json", "contact_sheet.png")


def as_table(predictions: Predictions, predictor: Predictor, top: int) -> str:
    """The network, a line per image with its most probable classes, the unreadable files, and a table of the folders."""
    top = min(top, len(predictions.classes))
    rows = []
    for index, entry in enumerate(predictions.entries):
        named = [f"{predictions.classes[label]} {share:.1%}" for label, share in predictions.top(index, top)]
        rows.append([entry.id, *named])
    headings = ["image", *(f"{rank}." for rank in range(1, top + 1))]
    size = predictor.network.preprocessing.image_size_px
    heading = f"{predictor.source}: {predictor.network.name}, {len(predictor.classes)} classes, {size} px"
    parts = [heading, as_text(headings, rows)]
    if predictions.unreadable:
        lines = [f"  {printable(name)}: {why}" for name, why in predictions.unreadable.items()]
        parts.append("unreadable:\n" + "\n".join(lines))
    if len(predictions.entries) > 1:
        parts.append(as_text(*_folder_table(predictions)))
    return "\n\n".join(parts)


def as_csv(predictions: Predictions, _predictor: Predictor, top: int) -> str:
    """Columns: image, class, probability (of the most probable class), then class_2, probability_2, ... up to `top`."""
    top = min(top, len(predictions.classes))
    more = [name for rank in range(2, top + 1) for name in (f"class_{rank}", f"probability_{rank}")]
    rows = []
    for index, entry in enumerate(predictions.entries):
        found = [(spreadsheet_cell(predictions.classes[label]), f"{p:.6f}") for label, p in predictions.top(index, top)]
        rows.append([spreadsheet_cell(entry.id), *(cell for pair in found for cell in pair)])
    return text_table.as_csv(["image", "class", "probability", *more], rows)


def as_json(predictions: Predictions, predictor: Predictor, top: int) -> str:
    """Predictions, classes, preprocessing, unreadable files and folders, for other programs."""
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
    record = {
        "source": predictor.source,
        "model": predictor.network.name,
        "classes": list(predictions.classes),
        "preprocessing": predictor.network.preprocessing.to_dict(),
        "images": images,
        "unreadable": [{"image": name, "reason": why} for name, why in predictions.unreadable.items()],
        "folders": folders(predictions),
    }
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    return printable_lines(text) + "\n"  # it escapes as JSON does


def folders(predictions: Predictions) -> list[dict]:
    """For each folder: its images, their predicted classes, and how many were predicted as the folder's own name.

    `right` is None if the network has no class with the folder's name.
    """
    members: dict[str, list[int]] = {}
    for index, entry in enumerate(predictions.entries):
        members.setdefault(PurePosixPath(entry.id).parent.as_posix(), []).append(index)
    top, names = predictions.probabilities.argmax(1), [name.lower() for name in predictions.classes]
    rows = []
    for folder, indices in sorted(members.items()):
        counts = Counter(predictions.classes[top[index]] for index in indices)
        own = PurePosixPath(folder).name.lower()
        right = sum(names[top[index]] == own for index in indices) if own in names else None
        rows.append({"folder": folder, "n": len(indices), "predicted": dict(counts.most_common()), "right": right})
    return rows


def _folder_table(predictions: Predictions) -> tuple[list[str], list[list[str]]]:
    rows = []
    for row in folders(predictions):
        common = list(row["predicted"].items())[:MOST_COMMON]
        named = ", ".join(f"{name} {count / row['n']:.1%}" for name, count in common)
        right = "-" if row["right"] is None else f"{row['right']} ({row['right'] / row['n']:.1%})"
        rows.append([row["folder"], str(row["n"]), named, right])
    return ["folder", "images", "mostly predicted", "correct by folder name"], rows


def write_files(
    files: WrittenFiles, predictor: Predictor, predictions: Predictions, *, top: int, shown: int, gradcam: bool
) -> str:
    """Write predictions.csv, predictions.json, contact_sheet.png with up to `shown` images, and gradcam/IMAGE.png for each.

    Returns:
        A description of what was written.
    """
    for name, text in zip(FILES, (as_csv, as_json), strict=False):
        write_text(files.path(name), text(predictions, predictor, top))
    count = len(predictions.entries)
    indices = np.unique(np.linspace(0, count - 1, min(shown, count)).round().astype(int)).tolist()  # evenly spread
    maps = _write_pictures(files, predictor, predictions, indices, gradcam=gradcam)
    words = f"{files.folder}/{', '.join(FILES)} ({len(indices)} of {count} images)"
    if gradcam:
        words += ", gradcam/" if maps else "; no Grad-CAM, which needs a spatial layer and a classifier with gradients"
    return words


def _write_pictures(
    files: WrittenFiles, predictor: Predictor, predictions: Predictions, indices: list[int], *, gradcam: bool
) -> bool:
    """Write the contact sheet of some images, and maps if they are possible; return whether there are maps."""
    entries = [predictions.entries[index] for index in indices]
    images = network_inputs(predictor, entries)
    pictures = as_pictures(images, predictor.network.preprocessing)
    first = [predictions.top(index, 1)[0] for index in indices]
    maps = _maps(predictor, images, [label for label, _ in first]) if gradcam else None
    tiles = []
    for position, (entry, picture, (label, share)) in enumerate(zip(entries, pictures, first, strict=True)):
        name, file = printable(predictions.classes[label]), printable(entry.id)
        tiles.append(Tile(picture, file, f"{share:.0%} {name}", share))
        if maps is not None:
            tiles.append(Tile(maps[position], file, f"Grad-CAM: {name}"))
            save_picture(maps[position], files.path(f"gradcam/{_inside(entry.id)}.png"))
    save_picture(contact_sheet(tiles), files.path(FILES[-1]))
    return maps is not None


def _inside(name: str) -> str:
    """A relative path that cannot leave the folder it is joined to, as the member names of a zip can be anything."""
    parts = PurePath(name).parts
    return "/".join(part for part in parts if part not in ("..", PurePath(name).anchor)) or "image"


def _maps(predictor: Predictor, images: torch.Tensor, labels: list[int]) -> np.ndarray | None:
    """(N, S, S, 3) uint8 overlays; None for a network without a spatial layer or with a head without gradients."""
    if not is_differentiable(predictor.network.head):
        return None
    found = []
    for start in range(0, len(images), CAM_BATCH):
        part = slice(start, start + CAM_BATCH)
        overlays = cam_overlays(predictor.network, images[part], labels[part], predictor.network.preprocessing)
        if overlays is None:
            return None
        found.append(overlays)
    return np.concatenate(found)
