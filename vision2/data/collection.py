"""Labelled images as they were found, before they are split: what every data set passes to `open_dataset`."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.errors import UserError, suggest

if TYPE_CHECKING:
    from vision2.data.files.listing import FileEntry
    from vision2.data.store.image_sources import ImageSource

PARTS = ("train", "val", "test")
CONTENTS_READ = 32  # evenly spaced files whose content enters the digest
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class Collection:
    """N labelled images: `files` still to be decoded, or `images` already in memory.

    `parts` holds "train", "val" or "test" if the data set defines the split, "" if it is still to be drawn.
    `notes` are facts for the run's report; `content` distinguishes two versions of the same files.
    """

    classes: tuple[str, ...]
    labels: np.ndarray  # int64 (N,)
    ids: tuple[str, ...]
    parts: np.ndarray  # str (N,)
    files: tuple[FileEntry, ...] = ()
    images: ImageSource | None = None
    notes: dict = field(default_factory=dict)
    content: str = ""
    size_px: int | None = None  # side of every image, if the data set fixes it

    def __len__(self) -> int:
        return len(self.ids)

    def digest(self) -> str:
        """A hash of classes, ids, labels, file sizes and a sample of contents: equal for copies of the same data.

        It does not depend on split or seed. Reading every file would take longer than an epoch on features.
        """
        digest = hashlib.blake2b(digest_size=16)
        sizes = [str(entry.size_bytes()) for entry in self.files]
        digest.update("\n".join([*self.classes, *self.ids, *sizes]).encode("utf-8", "surrogateescape"))
        digest.update(self.labels.tobytes())
        for index in np.unique(np.linspace(0, len(self.files) - 1, min(len(self.files), CONTENTS_READ)).astype(int)):
            with suppress(OSError):  # a file that cannot be read is reported when it is decoded
                digest.update(self.files[index].read_bytes())
        return digest.hexdigest()

    def keep(self, indices: np.ndarray) -> Collection:
        """The images at `indices`, in that order; the classes are unchanged."""
        return replace(
            self,
            labels=self.labels[indices],
            ids=tuple([self.ids[index] for index in indices.tolist()]),
            parts=self.parts[indices],
            files=tuple([self.files[index] for index in indices.tolist()]) if self.files else (),
            images=self.images.select(indices) if self.images is not None else None,
        )


def collect(files: list[FileEntry], labels: list[str], parts: list[str], *, notes: dict | None = None) -> Collection:
    """Build a collection from the class name of each file; the classes are these names in `class_order`."""
    labels = [unicodedata.normalize("NFC", label) for label in labels]
    classes = class_order(set(labels))
    position = {name: index for index, name in enumerate(classes)}
    return Collection(
        classes=classes,
        labels=np.array([position[name] for name in labels], dtype=np.int64),
        ids=tuple(entry.id for entry in files),
        parts=np.array(parts, dtype="<U5"),
        files=tuple(files),
        notes=notes or {},
    )


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """The names sorted, numerically if all are numbers: 1, 2, 10."""
    names = sorted(names)
    if all(NUMBER.fullmatch(name) for name in names):
        names.sort(key=float)
    return tuple(names)


def keep_classes(collection: Collection, wanted: list[str] | None) -> Collection:
    """Only the classes in `wanted` (all for None), in the data set's own order.

    Raises:
        UserError: for a class the data set does not have, or when fewer than two are left.
    """
    if wanted is None:
        return collection
    wanted = [unicodedata.normalize("NFC", str(name)) for name in wanted]
    problems = [
        f"dataset.classes: there is no class '{name}'{suggest(name, collection.classes)}"
        for name in wanted
        if name not in collection.classes
    ]
    if problems:
        raise UserError(*problems)
    if len(set(wanted)) < 2:
        count = len(set(wanted))
        raise UserError(f"dataset.classes names {count} class{'' if count == 1 else 'es'}; name at least two to classify")
    classes = tuple(name for name in collection.classes if name in wanted)
    position = np.full(len(collection.classes), -1)
    for index, name in enumerate(classes):
        position[collection.classes.index(name)] = index
    kept = collection.keep(np.flatnonzero(position[collection.labels] >= 0))
    return replace(kept, classes=classes, labels=position[kept.labels])


def or_leave_out(names: Sequence[str], classes: Sequence[str]) -> str:
    """The advice to leave these classes out, which is possible if two others are left; else an empty text."""
    left = len(classes) - len(names)
    what = "the class" if len(names) == 1 else "these classes"
    return f", or leave {what} out with dataset.classes" if left >= 2 else ""


def count_by_class(labels: np.ndarray, classes: tuple[str, ...]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=True)}
