"""Open a data set: from its settings to its classes, three splits and their images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.errors import UserError
from vision2.data.class_splits import split_classes
from vision2.data.collection import PARTS, Collection, count_by_class, keep_classes, or_leave_out
from vision2.data.datasets import find_collection
from vision2.data.files.listing import is_hidden
from vision2.data.files.part_names import part_of
from vision2.data.splits import find_groups, groups_on_two_sides, split_parts
from vision2.data.subsets import evaluation_subset, training_subset
from vision2.data.unseen import seen_images, unseen_classes

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig
    from vision2.data.store.image_sources import ImageSource

LEAST_STD = 1 / 255  # for a constant channel, so that nothing is divided by zero
STATISTICS_IMAGES = 2048  # enough for three significant digits; reading every photograph would take minutes


@dataclass(frozen=True)
class Split:
    """N labelled images; `ids` are paths relative to the root, the same on every machine."""

    name: str
    labels: np.ndarray  # int64 (N,)
    ids: tuple[str, ...]
    images: ImageSource

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, kept: np.ndarray) -> Split:
        """The images at the positions `kept`, in that order."""
        ids = tuple([self.ids[index] for index in kept.tolist()])
        return Split(self.name, self.labels[kept], ids, self.images.select(kept))


@dataclass(frozen=True)
class Dataset:
    """`report` lists what was found, skipped and changed; `fingerprint` changes with any image, label or split.

    `classes` are those of the training split. Split by class, the labels of the other splits continue after them:
    `new_classes` are the names of the classes that are not trained on.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    report: dict
    fingerprint: str
    unseen: tuple[int, ...] = ()  # classes with test images only
    new_classes: tuple[str, ...] = ()  # split by class: those of the validation and test splits

    @property
    def all_classes(self) -> tuple[str, ...]:
        """The names that the labels of every split refer to."""
        return self.classes + self.new_classes

    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Per-channel mean and standard deviation of the training pixels in [0, 1], from up to 2,048 evenly spaced images."""
        images, count = self.train.images, len(self.train)
        seen = np.zeros((3, 256))  # a histogram per channel: exact sums without a float copy of any image
        for index in np.unique(np.linspace(0, count - 1, min(count, STATISTICS_IMAGES)).round().astype(int)):
            image = images.read(int(index))
            seen += [np.bincount(image[..., channel].ravel(), minlength=256) for channel in range(3)]
        values, share = np.arange(256) / 255, seen / seen.sum(1, keepdims=True)
        mean = share @ values
        std = np.sqrt(np.maximum(share @ values**2 - mean**2, 0))
        return tuple(mean.tolist()), tuple(np.maximum(std, LEAST_STD).tolist())

    def split_record(self) -> dict:
        """The content of split.json: the images of each split and, with `label_noise`, the labels that were changed."""
        return {
            "dataset": self.name,
            "fingerprint": self.fingerprint,
            "classes": list(self.classes),
            "new_classes": list(self.new_classes),
            "splits": {
                split.name: {"ids": list(split.ids), "labels": split.labels.tolist()}
                for split in (self.train, self.val, self.test)
            },
            "report": self.report,
        }


def open_dataset(config: DatasetConfig, *, seed: int, store_px: int) -> Dataset:
    """Open the data set that `config` names. `store_px` is the shorter side at which photographs are stored.

    Files that cannot be decoded are left out before the split and listed in `report["skipped"]`.

    Raises:
        UserError: when data are missing or damaged, or settings contradict each other.
    """
    collection = keep_classes(find_collection(config), config.classes)
    unseen = unseen_classes(config, collection.classes, seed=seed)
    digest = collection.digest()
    collection = _with_images(collection, config, store_px)
    groups, group_facts = find_groups(collection.ids, config.group_pattern)
    split_seed = seed if config.split_seed is None else config.split_seed
    shares = {"val_fraction": config.val_fraction, "test_fraction": config.test_fraction}
    if config.split_by == "class":
        collection, parts = split_classes(collection, seed=split_seed, **shares)
    else:
        parts = split_parts(collection, seed=split_seed, groups=groups, **shares)
    everything = Split("", collection.labels, collection.ids, collection.images)
    train, val, test = (replace(everything.select(np.flatnonzero(parts == part)), name=part) for part in PARTS)
    if config.eval_fraction < 1:
        share, num_classes = config.eval_fraction, len(collection.classes)
        val, test = (s.select(evaluation_subset(s.labels, num_classes, share, seed=split_seed)) for s in (val, test))
    trained = collection.classes if config.split_by == "image" else collection.classes[: train.labels.max() + 1]
    kept, labels = training_subset(train.labels, trained, config, seed=seed)
    correct = train.select(kept)
    train = replace(correct, labels=labels)
    if unseen:
        correct, train, val = (split.select(seen_images(split.labels, unseen)) for split in (correct, train, val))
    report = {
        "skipped": [],
        **collection.notes,
        "digest": digest,
        "drawn": bool((collection.parts == "").any()),  # whether any split was drawn here, not defined by the data set
        "counts": {split.name: _counts(split, collection.classes, config.split_by) for split in (train, val, test)},
        "label_noise": [
            {"id": train.ids[i], "given": collection.classes[train.labels[i]], "true": collection.classes[correct.labels[i]]}
            for i in np.flatnonzero(train.labels != correct.labels)
        ],
    }
    if unseen:
        report["unseen"] = [collection.classes[index] for index in unseen]
    if group_facts:
        report["groups"] = group_facts | {"on_two_sides": groups_on_two_sides(groups, parts)}
    fingerprint = _fingerprint(collection, (train, val, test))
    new = collection.classes[len(trained) :]
    return Dataset(config.name, trained, train, val, test, report, fingerprint, unseen, new)


def _counts(split: Split, classes: tuple[str, ...], split_by: str) -> dict[str, int]:
    """Images per class; split by class, only of the classes of this split."""
    counts = count_by_class(split.labels, classes)
    return counts if split_by == "image" else {name: count for name, count in counts.items() if count}


def data_digest(config: DatasetConfig) -> str:
    """The current `Collection.digest` of the data that these settings name; nothing is decoded or downloaded."""
    return keep_classes(find_collection(replace(config, download=False)), config.classes).digest()


def open_everything(config: DatasetConfig, *, store_px: int) -> tuple[tuple[str, ...], dict[str, Split], dict]:
    """Return class names, splits and notes: one split `all`, or `val` and `test` if the data set defines its own splits.

    Raises:
        UserError: as `open_dataset`, and when a data set with its own splits has neither `val` nor `test`.
    """
    name, config = _only_part(config)
    collection = _with_images(keep_classes(find_collection(config), config.classes), config, store_px)
    everything = Split(name, collection.labels, collection.ids, collection.images)
    if not (collection.parts != "").any():
        return collection.classes, {name: everything}, collection.notes
    parts = {part: np.flatnonzero(collection.parts == part) for part in ("val", "test")}
    found = {part: replace(everything.select(rows), name=part) for part, rows in parts.items() if len(rows)}
    if not found:
        raise UserError(f"{config.root} has training images only; set dataset.root to the folder of the images to evaluate")
    return collection.classes, found, collection.notes


def _only_part(config: DatasetConfig) -> tuple[str, DatasetConfig]:
    """(split name, settings): if the only folder in the root is a split such as `test/`, it becomes the root; else `all`."""
    root = Path(config.root or "").expanduser()
    folders = [path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name)] if root.is_dir() else []
    part = part_of(folders[0].name) if config.root and len(folders) == 1 else None
    return (part, replace(config, root=str(folders[0]))) if part else ("all", config)


def _with_images(collection: Collection, config: DatasetConfig, store_px: int) -> Collection:
    """The collection with its images; files that cannot be decoded are removed from it and noted."""
    if collection.images is not None:
        return collection
    from vision2.data.store.store import open_store

    images, bad, one_colour = open_store(collection.files, config, store_px=collection.size_px or store_px)
    skipped = [{"path": collection.ids[index], "reason": reason} for index, reason in sorted(bad.items())]
    collection.notes["skipped"] = skipped
    plain = [collection.ids[index] for index in one_colour]
    collection.notes["one_colour"] = {"count": len(plain), "ids": plain[:20]}
    good = np.setdiff1d(np.arange(len(collection)), list(bad))
    kept, images = collection.keep(good), images.select(good)
    empty = [name for name, count in count_by_class(kept.labels, kept.classes).items() if count == 0]
    if empty:
        first = next(index for index in sorted(bad) if collection.classes[collection.labels[index]] in empty)
        raise UserError(
            f"no image of {', '.join(empty[:10])} can be decoded (first bad file: {collection.ids[first]}, {bad[first]});"
            f" replace the files{or_leave_out(empty, kept.classes)}"
        )
    if kept.size_px and images.fixed_size_px != kept.size_px:
        square = (kept.size_px, kept.size_px, 3)
        odd = next(kept.files[index].path for index in range(len(kept)) if images.read(index).shape != square)
        raise UserError(
            f"dataset={config.name}: {odd} is not {kept.size_px} x {kept.size_px} px; use dataset=folder for other sizes"
        )
    return replace(kept, files=(), images=images, content=_content(kept, images))


def _content(collection: Collection, images: ImageSource) -> str:
    """A hash of the pixels if they are in one tensor, else of the file sizes, because hashing 25,000 photographs would slow
    down every start."""
    if images.fixed_size_px is not None:
        return images.digest()
    sizes = "\n".join(str(entry.size_bytes()) for entry in collection.files)
    return hashlib.blake2b(sizes.encode(), digest_size=16).hexdigest()


def _fingerprint(collection: Collection, splits: Sequence[Split]) -> str:
    """A hash of content, ids, labels and splits, without time stamps or absolute paths, so that copies have the same hash."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update("\n".join([collection.content, *collection.classes]).encode())
    for split in splits:
        digest.update("\n".join([split.name, *split.ids]).encode())
        digest.update(split.labels.tobytes())
    return digest.hexdigest()
