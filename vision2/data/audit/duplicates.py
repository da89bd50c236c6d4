"""Find duplicate pictures: identical byte for byte, or up to recompression and scaling."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

HASH_BITS_APART = 5  # of 64; the usual threshold for a difference hash
GREY_LEVELS_APART = 8.0  # mean difference of the small grey copies; recompression stays below 3
SMALL_PX = 16
BLOCK = 2**24  # hashes compared at once: 128 MB
PAIRS = 2**16  # pairs of grey copies compared at once: 64 MB


def small_grey(image: np.ndarray) -> np.ndarray:
    """(16, 16) uint8 grey copy of an image (H, W, 3) uint8 of any aspect."""
    grey = Image.fromarray(image).convert("L")
    return np.asarray(grey.resize((SMALL_PX, SMALL_PX), Image.Resampling.BOX))


def difference_hash(image: np.ndarray) -> int:
    """64 bits: whether each of 8 x 9 grey values is brighter than its right neighbour (Krawetz 2013, "dHash").

    Scaling, recompression and brightness changes hardly affect it; cropping and mirroring do.
    """
    grey = Image.fromarray(image).convert("L").resize((9, 8), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.int16)
    return int.from_bytes(np.packbits(values[:, :-1] > values[:, 1:]).tobytes(), "big")


def exact_groups(digests: Sequence[str | None]) -> list[list[int]]:
    """Groups of two or more positions with the same digest; None matches nothing."""
    same = defaultdict(list)
    for index, digest in enumerate(digests):
        if digest is not None:
            same[digest].append(index)
    return [group for group in same.values() if len(group) > 1]


def near_groups(hashes: np.ndarray, small: np.ndarray) -> list[list[int]]:
    """Groups of two or more positions whose images look alike: both their hashes and their small grey copies are close.

    By the hash alone, all plain images would look alike.

    Args:
        hashes: (N,) uint64.
        small: (N, 16, 16) uint8.
    """
    group_of = np.arange(len(hashes))  # the smallest position in the group of each image
    for near in near_pairs(hashes):
        for start in range(0, len(near), PAIRS):
            pairs = near[start : start + PAIRS]
            pairs = pairs[group_of[pairs[:, 0]] != group_of[pairs[:, 1]]]  # compares each of thousands of equal pictures once
            left, right = (small[pairs[:, side]].astype(np.int16) for side in (0, 1))
            pairs = pairs[np.abs(left - right).mean((1, 2)) <= GREY_LEVELS_APART]
            if len(pairs):
                group_of = _joined(group_of, pairs)
    groups = defaultdict(list)
    for index, first in enumerate(group_of.tolist()):
        groups[first].append(index)
    return [group for group in groups.values() if len(group) > 1]


def near_pairs(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield (P, 2) int64 pairs i < j at most HASH_BITS_APART bits apart, comparing all pairs in blocks of rows."""
    rows = max(1, BLOCK // max(1, len(hashes)))
    for start in range(0, len(hashes), rows):
        apart = np.bitwise_count(hashes[start : start + rows, None] ^ hashes[None, start:])
        near = np.argwhere(apart <= HASH_BITS_APART)
        yield near[near[:, 0] < near[:, 1]] + start


def _joined(group_of: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """`group_of` (N,) after merging the two groups of each of `pairs` (P, 2)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count, groups = len(group_of), group_of[pairs]
    graph = coo_array((np.ones(len(pairs), dtype=bool), (groups[:, 0], groups[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    return first[component][group_of]
