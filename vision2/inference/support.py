"""Classes that a network was not trained on, from a few images of each: nearest prototype, without training."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vision2.basics.errors import UserError, first_few
from vision2.basics.safe_text import printable
from vision2.data.collection import class_order
from vision2.data.files.listing import FileEntry, is_hidden, list_place, readable_name
from vision2.data.files.locations import existing_path
from vision2.data.files.own_results import holds_results
from vision2.data.files.part_names import part_of
from vision2.inference.predictor import Predictor, read_inputs
from vision2.models.heads import COSINE, COSINE_SCALE, prototype_head

NEEDED = "give a folder or a zip with one subfolder per class (at least two), each with a few images"


@dataclass(frozen=True)
class Support:
    """A few labelled images: `labels[i]` is the class index of `entries[i]`."""

    place: str
    classes: tuple[str, ...]
    entries: list[FileEntry]
    labels: list[int]

    def describe(self, distance: str) -> str:
        counts = Counter(self.labels).values()
        each = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        scaled = f"{COSINE_SCALE:g} x cosine similarity" if distance == COSINE else "negative squared Euclidean distance"
        return (
            f"support: {len(self.classes)} classes with {each} image{'s' if max(counts) > 1 else ''} each in {self.place};"
            f" probabilities are the softmax of {scaled} to the class means"
        )


def read_support(place: str) -> Support:
    """The images in the class folders at `place`; folders below a class folder belong to it.

    Raises:
        UserError: for a place that is neither a folder nor a zip, images outside class folders, a class folder without
            images, or fewer than two classes.
    """
    path = existing_path(place, "support")
    if path.is_file() and path.suffix.lower() != ".zip":
        raise UserError(f"support={place} is a single file; {NEEDED}")
    by_class: dict[str, list[FileEntry]] = defaultdict(list)
    for entry in list_place(path).images:
        folder, slash, _ = entry.id.partition("/")
        by_class[unicodedata.normalize("NFC", folder) if slash else ""].append(entry)
    if outside := by_class.pop("", []):
        raise UserError(f"support={place} has images outside class folders, such as {outside[0].id}; {NEEDED}")
    if empty := _folders_without_images(path, by_class):
        raise UserError(f"support={place}: no images in the class folder {first_few(empty, 5)}; add some or remove the folder")
    classes = class_order(by_class)
    if len(classes) < 2:
        only = f"only the class {classes[0]}" if classes else "no images"
        raise UserError(f"support={place} has {only}; {NEEDED}")
    if all(part_of(name) for name in classes):
        raise UserError(f"support={place} is split into {first_few(classes, 3)}; give one of these folders")
    pairs = [(entry, classes.index(name)) for name, entries in sorted(by_class.items()) for entry in entries]
    return Support(place, classes, [entry for entry, _ in pairs], [label for _, label in pairs])


def _folders_without_images(path: Path, filled: dict) -> list[str]:
    folders = [entry for entry in path.iterdir() if entry.is_dir() and not is_hidden(entry.name)] if path.is_dir() else []
    empty = [entry for entry in folders if readable_name(entry.name) not in filled]
    return sorted(readable_name(entry.name) for entry in empty if not holds_results(entry))


def with_support(predictor: Predictor, support: Support, batch_size: int) -> Predictor:
    """The predictor with its head replaced by the prototypes of the support classes.

    Raises:
        UserError: for a support image that cannot be read: each of the few counts.
    """
    network, found, unreadable = predictor.network, [], {}
    for _, images in read_inputs(predictor, support.entries, batch_size, unreadable):
        with torch.inference_mode():
            found.append(network.features(images).float())
    if unreadable:
        name, reason = next(iter(unreadable.items()))
        raise UserError(f"support={support.place}: {printable(name)} cannot be read ({reason}); replace or remove it")
    features, labels = torch.cat(found).clone(), torch.tensor(support.labels, device=predictor.device)
    head = prototype_head(features, labels, len(support.classes), predictor.distance).to(predictor.device)
    network = network.cut_at(network.layer, network.pooling, head).eval()
    return replace(predictor, network=network, classes=support.classes, are_named=True)


def copies_in_support(entries: Sequence[FileEntry], support: Support) -> list[str]:
    """Ids of the images to classify whose files are equal to a support image."""
    by_size: dict[int, list[FileEntry]] = defaultdict(list)
    for entry in support.entries:
        by_size[entry.size_bytes()].append(entry)
    copies = []
    for entry in entries:
        size = entry.size_bytes()  # 0 for a missing file
        if size and any(entry.read_bytes() == other.read_bytes() for other in by_size.get(size, ())):
            copies.append(entry.id)
    return copies
