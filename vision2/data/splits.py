"""Draw the splits: stratified by class, in whole groups, from a seed. Validation images never come from the test split."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from vision2.basics.errors import UserError
from vision2.basics.randomness import numpy_stream
from vision2.data.collection import Collection, or_leave_out


def split_parts(collection: Collection, *, seed: int, val_fraction: float, test_fraction: float, groups: Sequence[str]):
    """ "train", "val" or "test" for each of the N images, as a str array (N,).

    Splits that the data set defines are kept. A missing test split is drawn from all images, then a missing val split from
    the rest: stratified by class, in whole groups, from the seed.

    Raises:
        UserError: when a split, or a class in the training split, would be empty.
    """
    parts = np.where(collection.parts == "", "train", collection.parts)
    if "test" not in parts:
        _draw(parts, "test", collection.labels, groups, fraction=test_fraction, seed=seed)
    if "val" not in parts:
        _draw(parts, "val", collection.labels, groups, fraction=val_fraction, seed=seed)
    for part, setting in (("test", "dataset.test_fraction"), ("val", "dataset.val_fraction")):
        if part not in parts:
            raise UserError(f"none of the {len(parts)} images is left for the {part} split: add images, or raise {setting}")
    trained = np.bincount(collection.labels[parts == "train"], minlength=len(collection.classes))
    bare = [name for name, count in zip(collection.classes, trained, strict=True) if count == 0]
    if bare:
        raise UserError(
            f"no training image is left for {', '.join(bare[:10])}: add images, or lower dataset.val_fraction and "
            f"dataset.test_fraction{or_leave_out(bare, collection.classes)}"
        )
    return parts


def _draw(parts: np.ndarray, name: str, labels: np.ndarray, groups: Sequence[str], *, fraction: float, seed: int):
    """Rename a share of the "train" entries of `parts` to `name`, in place.

    Groups are visited in random order; a group is taken if it brings the counts per class closer to the wanted share. For
    groups of one image, this is the usual stratified draw: round(fraction * n) of each class.
    """
    candidates = np.flatnonzero(parts == "train")
    want = fraction * np.bincount(labels[candidates])
    stream = numpy_stream(seed, "split", 0 if name == "test" else 1)
    if len(set(groups)) == len(groups):
        order = np.array(sorted(candidates.tolist(), key=groups.__getitem__), dtype=np.int64)
        parts[_first_of_each_class(order[stream.permutation(len(order))], labels, want)] = name
        return
    have = np.zeros_like(want)
    members: dict[str, list[int]] = defaultdict(list)
    for index in candidates.tolist():
        members[groups[index]].append(index)
    bundles = [members[key] for key in sorted(members)]
    for position in stream.permutation(len(bundles)):
        bundle = bundles[position]
        counts = Counter(labels[bundle].tolist())
        gain = sum((want[c] - have[c]) ** 2 - (want[c] - have[c] - n) ** 2 for c, n in counts.items())
        if gain > 0:
            parts[bundle] = name
            for label, count in counts.items():
                have[label] += count


def _first_of_each_class(visited: np.ndarray, labels: np.ndarray, want: np.ndarray) -> np.ndarray:
    """The draw for groups of one image, without a loop over images: of each class, the first that bring it closer to `want`."""
    by_class = visited[np.argsort(labels[visited], kind="stable")]
    ends = np.cumsum(np.bincount(labels[visited], minlength=len(want)))
    chosen = []
    for c, end in enumerate(ends):
        start, taken = (ends[c - 1] if c else 0), 0
        while start + taken < end and (want[c] - taken) ** 2 - (want[c] - taken - 1) ** 2 > 0:
            taken += 1
        chosen.append(by_class[start : start + taken])
    return np.concatenate([visited[:0], *chosen])


def find_groups(ids: Sequence[str], pattern: str | None) -> tuple[list[str], dict]:
    """The group of each image and facts for the report; without a pattern each image is its own group.

    A file that the pattern does not match is its own group.

    Raises:
        UserError: for a pattern that is not a regular expression, has no (group), or matches no file.
    """
    if pattern is None:
        return list(ids), {}
    try:
        expression = re.compile(pattern)
    except re.error as error:
        example = "an example is '(plant\\d+)_'"
        raise UserError(f"dataset.group_pattern '{pattern}' is not a regular expression ({error}); {example}") from error
    if expression.groups < 1:
        raise UserError(f"dataset.group_pattern '{pattern}' needs a (group) in parentheses, e.g. '(plant\\d+)_'")
    matches = [expression.search(name) for name in ids]
    alone = [name for name, match in zip(ids, matches, strict=True) if match is None or match[1] is None]
    if len(alone) == len(ids):
        raise UserError(
            f"dataset.group_pattern '{pattern}' matches none of the {len(ids)} files, e.g. '{ids[0]}'; correct it, or leave "
            "it out"
        )
    # a group's key must not equal the name of a file that is its own group
    groups = [
        f"group:{match[1]}" if match and match[1] is not None else f"file:{name}"
        for name, match in zip(ids, matches, strict=True)
    ]
    return groups, {"pattern": pattern, "groups": len(set(groups)), "files_without_group": len(alone)}


def groups_on_two_sides(groups: Sequence[str], parts: np.ndarray) -> list[str]:
    """Groups in more than one split, which is possible only if the data set itself defines the splits."""
    sides = defaultdict(set)
    for group, part in zip(groups, parts.tolist(), strict=True):
        sides[group].add(part)
    return sorted(group.removeprefix("group:") for group, where in sides.items() if len(where) > 1)
