"""Leaks that inflate test results: test images copied in the training split, and versions of one picture in several splits."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Suffixes that exporters, augmentation tools and cameras add to versions of one picture: x.rf.1a2b, x_aug2, x (1), x_BURST003.
VERSION = r"(?:\.rf\.[0-9a-fA-F]+|[_-](?:aug|copy|crop|flip|rot|frame|burst)[a-z]*[_-]?\d*|\s?\(\d+\))"
VERSIONS = re.compile(rf"(?i)^(.+?){VERSION}+$")
GROUP_PATTERN = rf"([^/]+?){VERSION}*\.\w+$"  # a value for dataset.group_pattern with the same suffixes


def copies_in_train(train: Sequence[bytes], others: dict[str, tuple[Sequence[str], Sequence[bytes]]]) -> dict[str, list[str]]:
    """Ids of the images in other splits whose pixels equal those of a training image.

    Args:
        train: a hash of each training image.
        others: split -> (ids, hashes).
    """
    known = set(train)
    return {split: [i for i, key in zip(ids, keys, strict=True) if key in known] for split, (ids, keys) in others.items()}


def separated_versions(splits: dict[str, Sequence[str]]) -> list[str]:
    """Names of pictures with versions in more than one split, in alphabetical order."""
    first: dict[str, str] = {}
    apart = set()
    for split, ids in splits.items():
        for picture in map(_without_version, ids):
            if first.setdefault(picture, split) != split:
                apart.add(picture)
    return sorted(apart)


def _without_version(name: str) -> str:
    """The id without extension and version suffixes; plain text, because a Path for each of many images takes seconds."""
    folder, slash, file = name.rpartition("/")
    stem, _, extension = file.rpartition(".")
    stem = stem if stem and extension else file
    found = VERSIONS.match(stem)
    return folder + slash + (found[1] if found else stem)
