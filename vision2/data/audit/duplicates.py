"""Finding the same picture twice: byte for byte, or up to recompression and scaling."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from PIL import Image

HASH_BITS_APART = 5  # of 64; the usual bound for a difference hash
GREY_LEVELS_APART = 8.0  # mean difference of the small grey copies; recompression stays below 3
SMALL_PX = 16
BLOCK = 512  # rows compared with all others at once: 512 x 60,000 hashes take 250 MB


def small_grey(image: np.ndarray) -> np.ndarray:
    """(16, 16) uint8 copy of an image (H, W, 3) uint8, whatever its aspect."""
    grey = Image.fromarray(image).convert("L")
    return np.asarray(grey.resize((SMALL_PX, SMALL_PX), Image.Resampling.BOX))


def difference_hash(image: np.ndarray) -> int:
    """64 bits: whether each of 8 x 9 grey values is brighter than its right neighbour (Krawetz 2013, "dHash").

    Scaling, recompression and changes of brightness hardly change it; cropping and mirroring do.
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
    """Groups of two or more positions that look alike: near in hash, and near in their small grey copies.

    By the hash alone, all plain images would be alike.

    Args:
        hashes: (N,) uint64.
        small: (N, 16, 16) uint8.
    """
    pairs = _near_pairs(hashes)
    if not len(pairs):
        return []
    left, right = (small[pairs[:, side]].astype(np.int16) for side in (0, 1))
    pairs = pairs[np.abs(left - right).mean((1, 2)) <= GREY_LEVELS_APART]
    return _connected(pairs, len(hashes))


def _near_pairs(hashes: np.ndarray) -> np.ndarray:
    """(P, 2) int64 pairs i < j at most HASH_BITS_APART bits apart: all against all, in blocks of rows."""
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(hashes), BLOCK):
        rows = hashes[start : start + BLOCK, None]
        near = np.argwhere(np.bitwise_count(rows ^ hashes[None, start:]) <= HASH_BITS_APART)
        found.append(near[near[:, 0] < near[:, 1]] + start)
    return np.concatenate(found)


def _connected(pairs: np.ndarray, count: int) -> list[list[int]]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    groups = defaultdict(list)
    for index in np.unique(pairs).tolist():
        groups[component[index]].append(index)
    return list(groups.values())
