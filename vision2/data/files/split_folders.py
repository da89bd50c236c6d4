"""Find the splits in a tree of folders: above the classes, below them, or nowhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from vision2.data.files.part_names import is_generic, part_of

Folders = tuple[str, ...]


class Position(NamedTuple):
    """The `part` of an image ("" if its split is still to be drawn), and the `folders` that may name its class.

    `above` is the number of folders between the root and these. An image outside the class folders has no `folders`.
    """

    part: str
    above: int
    folders: Folders


def wrapper_depth(paths: Sequence[Folders]) -> int:
    """The number of outer folders that only wrap all images that are in folders: 1 for `photos/CLASS/1.jpg`.

    Args:
        paths: the folders of each image, without its name. Images next to a wrapper are ignored.
    """
    depth = 0
    while inside := [path for path in paths if len(path) > depth]:
        names = {path[depth] for path in inside}
        if len(names) > 1 or part_of(inside[0][depth]) or all(len(path) == depth + 1 for path in inside):
            break
        depth += 1
    return depth


def find_positions(paths: Sequence[Folders]) -> tuple[str, list[Position]]:
    """Return (name of the layout, position of each image).

    Args:
        paths: the folders of each image, without its name.
    """
    depth = wrapper_depth(paths)
    shorter = {path: path[depth:] for path in set(paths)}
    inner = [shorter[path] for path in paths]
    if _splits_above(inner):
        positions = [Position(part_of(path[0]) or "", 1, path[1:]) if path else Position("", 0, ()) for path in inner]
        positions = [each if each.part else Position("", 0, ()) for each in positions]
        positions = _without_unlabelled(_without_repeats(positions))
        return "train/val/test folders", [each._replace(above=each.above + depth) for each in positions]
    if _splits_below(inner):
        return "class folders with train/val/test below", [
            Position(part_of(path[1]), depth, (path[0], *path[2:])) for path in inner
        ]
    positions = {path: Position("", depth, path) for path in set(inner)}
    return "class folders", [positions[path] for path in inner]


def _splits_above(paths: Sequence[Folders]) -> bool:
    """Whether there is a `train/CLASS`, alone or beside val or test; a class named "train" is not a split."""
    names = {path[0] for path in paths if len(path) >= 2}
    parts = {part_of(name) for name in names} - {None}
    return "train" in parts and (len(parts) > 1 or len(names) == 1)


def _splits_below(paths: Sequence[Folders]) -> bool:
    """Whether every image is in `CLASS/train`, `CLASS/val` or `CLASS/test`."""
    if not all(len(path) >= 2 for path in paths) or len({path[0] for path in paths}) < 2:
        return False
    parts = {part_of(path[1]) for path in paths}
    return None not in parts and "train" in parts and len(parts) > 1


def _without_repeats(positions: list[Position]) -> list[Position]:
    """Read `train/train/CLASS` and `train/images/CLASS` as `train/CLASS`, without a lone folder that only repeats or wraps."""
    while True:
        names, deep = defaultdict(set), defaultdict(bool)
        for each in positions:
            if each.folders:
                names[each.part].add(each.folders[0])
                deep[each.part] |= len(each.folders) > 1
        alone = {part for part in names if len(names[part]) == 1 and deep[part]}
        shared = len(set.union(*names.values())) == 1 and len(alone) == len(names) if names else False
        outer = {part for part in alone if shared or all(is_generic(name) for name in names[part])}
        if not outer:
            return positions
        positions = [
            Position(each.part, each.above + 1, each.folders[1:]) if each.part in outer and each.folders else each
            for each in positions
        ]


def _without_unlabelled(positions: list[Position]) -> list[Position]:
    """Treat `test/unknown/1.jpg` next to labelled splits as outside the class folders, because `unknown` is not a class."""
    names = defaultdict(set)
    for each in positions:
        names[each.part].update(each.folders[:1])
    bare = {
        part
        for part in ("val", "test")
        if names[part] and not names[part] & names["train"] and all(is_generic(name) for name in names[part])
    }
    return [Position("", 0, ()) if each.part in bare else each for each in positions]
