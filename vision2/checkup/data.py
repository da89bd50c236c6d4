"""Checks of the splits: equal images, classes, and whether labels belong to their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vision2.checkup.finding import Finding, judged, worst
from vision2.checkup.neighbours import agreement, as_vectors, best_renaming, renamed_by_chance, sample, share_by_chance
from vision2.data.dataset import Dataset, Split
from vision2.data.leaks import copies_in_train
from vision2.features.feature_store import image_ids

PART = "data"
HASHED = 20_000  # images of a split that are compared; reading more photographs would take minutes
MANY_COPIES = 0.05  # share of a split: fewer copies are usual in collected photographs, and hardly move a result
RARE_CLASS = 5  # images
MAJORITY = 0.9  # share of one class, with which a constant answer looks good


def check_data(data: Dataset, ids_folder: Path | None) -> list[Finding]:
    """All checks of the splits. `ids_folder` keeps hashes of images that are known from earlier runs."""
    hashes = {split.name: _hashes(split, ids_folder) for split in (data.train, data.val, data.test)}
    return [*check_copies(data, hashes), check_classes(data), check_skipped(data), *check_labels(data)]


def _hashes(split: Split, folder: Path | None) -> list[bytes]:
    some = split if len(split) <= HASHED else split.select(np.arange(HASHED))
    return image_ids(some.images, folder)


def check_copies(data: Dataset, hashes: dict[str, list[bytes]]) -> list[Finding]:
    """Images of validation and test among those of training, and images of test among those of validation."""
    found = []
    for name, others in (("train", (data.val, data.test)), ("val", (data.test,))):
        pairs = {split.name: (split.ids[: len(hashes[split.name])], hashes[split.name]) for split in others}
        for other, copies in copies_in_train(hashes[name], pairs).items():
            share = len(copies) / max(1, len(pairs[other][0]))
            chosen = name == "val"
            found.append(judged(
                PART, f"no {other} image in {name}", worst(share > MANY_COPIES, bool(copies)),
                seen=f"{len(copies):,} of {len(pairs[other][0]):,} {other} images are also in {name}",
                why="the best epoch is chosen on validation images, so these test images help to choose and look too good"
                if chosen else f"the network has seen these images in training, so {other} results look too good",
                todo="give validation and test different images: leave out a shared folder, or let vision2 draw the split"
                if chosen else "delete the copies (python -m vision2.audit lists them), or set dataset.group_pattern",
            ))  # fmt: skip
    return found


def check_classes(data: Dataset) -> Finding:
    """Every class has training images, and no class has nearly all."""
    counts = np.bincount(data.train.labels, minlength=len(data.classes))
    seen_only = [c for i, c in enumerate(data.classes) if counts[i] == 0 and i not in data.unseen]
    outside = [s.name for s in (data.val, data.test) if len(s) and s.labels.max() >= len(data.classes)]
    rare, majority = int((counts < RARE_CLASS).sum()), counts.max() / counts.sum()
    return judged(
        PART, "classes", worst(bool(seen_only or outside), bool(rare) or majority > MAJORITY),
        seen=f"{len(data.classes)} classes with {counts.min():,} to {counts.max():,} training images; always answering the"
        f" largest class is right in {majority:.1%}",
        why="a class without or with few images is not learned, and accuracy has to be compared with the majority's share",
        todo="add images to the small classes, leave them out with dataset.classes, or set train.class_weights=balanced",
    )  # fmt: skip


def check_skipped(data: Dataset) -> Finding:
    skipped = len(data.report.get("skipped", ()))
    return judged(
        PART, "files can be decoded", worst(False, bool(skipped)), seen=f"{skipped:,} files were left out",
        why="a class whose files are damaged has fewer images than it seems",
        todo="see python -m vision2.audit for the list",
    )  # fmt: skip


def check_labels(data: Dataset) -> list[Finding]:
    """Whether images that look alike have the same label: within training, and between training and evaluation.

    The nearest neighbour in pixels is no good classifier, but better than chance on nearly all data sets, unless labels do
    not belong to their images. Where it is at chance on the validation images too, it tells nothing, and the check passes.
    """
    train, other = sample(data.train), sample(data.val)
    vectors, others = as_vectors(train.images), as_vectors(other.images)
    within, alike = agreement(vectors, train.labels), agreement(others, other.labels)
    chance, chance_of_others = share_by_chance(train.labels), share_by_chance(other.labels)
    said = within.above(chance)
    telling = alike.above(chance_of_others)
    wrong = telling and not said
    finding = judged(
        PART, "labels belong to images", worst(wrong),
        seen=f"{within.share:.1%} of the training images have the label of the most similar one (by chance {chance:.1%};"
        f" validation {alike.share:.1%})" + ("" if said or telling else ": pixels tell nothing here"),
        why="a network can learn random labels by heart, but nothing from them (Zhang et al. 2017)",
        todo="look at images with their labels (python -m vision2.preview); check how labels were joined to files",
    )  # fmt: skip
    return [finding, *([_same_numbers(vectors, train.labels, others, other.labels, len(data.classes))] if said else [])]


def _same_numbers(vectors, labels, others, their_labels, num_classes: int) -> Finding:
    """Whether a number means the same class on both sides, by the most similar training image of each validation image."""
    found = labels[agreement(vectors, labels, others).nearest]
    same, best = float((found == their_labels).mean()), best_renaming(found, their_labels, num_classes)
    real = best > renamed_by_chance(found, their_labels, num_classes)
    return judged(
        PART, "classes have the same numbers", worst(real and same < best / 2),
        seen=f"{same:.1%} of the validation images have the label of the most similar training image;"
        f" with the classes renumbered {best:.1%}",
        why="if training and evaluation number the classes differently, a perfect network seems to know nothing",
        todo="use one list of classes for all splits, sorted once, from the training folder",
    )  # fmt: skip
