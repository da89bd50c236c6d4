"""Read the layouts people use: class folders, train/val/test folders or a CSV list, in a folder, a zip or a tar."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from vision2.basics.errors import UserError, suggest
from vision2.data.collection import PARTS, Collection, collect
from vision2.data.files.csv_list import read_csv
from vision2.data.files.listing import FileEntry, is_hidden, readable_name
from vision2.data.files.own_results import holds_results
from vision2.data.files.part_names import folded, is_fold
from vision2.data.files.places import images_below, is_list, open_place
from vision2.data.files.split_folders import Folders, Position, find_positions
from vision2.data.files.unused import describe_unused
from vision2.data.settings import DatasetConfig

FOLDERS_SHOWN = 10
NAMES_SHOWN = 4
ALIKE_SHARE = 0.5  # folders that have at least this share of their subfolders in common are said to hold the same


def read_layout(place: str | Path, config: DatasetConfig | None = None) -> Collection:
    """Read the collection at `place`: class folders, with or without train/val/test, in a folder or archive; or a CSV list.

    Classes are matched by name across the splits: a class missing from val or test is noted, one missing from train is an
    error. `config.class_level` says which folders are the classes; by default, the first level below the split.

    Raises:
        UserError: for a place that does not exist, has no images, has a single class, or has an empty class folder; when
            it is unclear which folders are the classes.
    """
    config = config or DatasetConfig(name="folder")
    root = open_place(place, config)
    if is_list(root):
        return check_classes(_match_classes(note_similar_names(read_csv(root, config)), config), root)
    listing = images_below(root, config)
    paths = _folders_of(listing.images)
    layout, positions = find_positions(paths)
    if config.class_level is None and layout == "class folders":
        _ask_which_are_classes(root, [each.folders for each in positions])
    level = config.class_level or "top"
    labels = [class_name(each.folders, level) for each in positions]
    kept = [index for index, label in enumerate(labels) if label is not None]
    if not kept:
        raise UserError(_no_classes(root, len(labels), level, deepest=max(len(each.folders) for each in positions)))
    notes = {"layout": layout, "class_level": level, **listing.notes}
    notes |= _outside(paths, labels) | _levels([positions[index].folders for index in kept], level)
    images, labels, positions = ([column[index] for index in kept] for column in (listing.images, labels, positions))
    collection = note_similar_names(collect(images, labels, [each.part for each in positions], notes=notes))
    collection = check_classes(_match_classes(collection, config), root)
    if root.is_dir():
        _refuse_empty_folders(images, positions, paths, listing.notes)
    return collection


def _folders_of(images: Sequence[FileEntry]) -> list[Folders]:
    """The folders of each image, without its name; images of one folder share the tuple."""
    folders = [entry.id.rpartition("/")[0] for entry in images]
    split = {folder: tuple(folder.split("/")) if folder else () for folder in set(folders)}
    return [split[folder] for folder in folders]


def class_name(folders: Folders, level: str) -> str | None:
    """The class name that an image's folders below the split give; None if there are too few of them.

    >>> folders = ("Fruit", "Apple", "Golden")
    >>> class_name(folders, "top"), class_name(folders, "leaf"), class_name(folders, "2")
    ('Fruit', 'Golden', 'Fruit/Apple')
    """
    if level == "leaf":
        return folders[-1] if folders else None
    depth = 1 if level == "top" else int(level)
    return "/".join(folders[:depth]) if len(folders) >= depth else None


def _no_classes(root: Path, count: int, level: str, deepest: int) -> str:
    if level not in ("top", "leaf") and deepest:
        return f"dataset.class_level={level}: {root} has folders only down to level {deepest}; set it to at most {deepest}"
    lists = sorted(path.name for path in root.iterdir() if path.suffix.lower() == ".csv") if root.is_dir() else []
    found = f", for example {lists[0]} there" if lists else ""
    return (
        f"{root} holds {count} images but no class folders: put the images of each class into a folder named "
        f"after the class, or set dataset.root to a CSV list (path,label){found}"
    )


def _outside(paths: Sequence[Folders], labels: Sequence[str | None]) -> dict:
    """How many images are in no class folder, in total and by folder."""
    outside = Counter("/".join(path) or "." for path, label in zip(paths, labels, strict=True) if label is None)
    return {"outside_class_folders": outside.total(), "outside_folders": dict(outside.most_common(FOLDERS_SHOWN))}


def _levels(folders: Sequence[Folders], level: str) -> dict:
    """Which folders below a class folder were merged into it, and which classes have folders in several places."""
    below, places = defaultdict(set), defaultdict(set)
    for path in folders:
        name = class_name(path, level)
        rest = () if level == "leaf" else path[name.count("/") + 1 :]
        if rest:
            below[name].add(rest)
        if level == "leaf":
            places[name].add(path[:-1])
    merged = {name: len(where) for name, where in sorted(places.items()) if len(where) > 1}
    if not below:
        return {"merged_leaves": merged} if merged else {}
    name, rest = min((name, min(found)) for name, found in below.items())
    leaves = set(folders)
    unique = len({path[-1] for path in leaves}) == len(leaves)
    return {
        "leaf_folders": {name: len(found) for name, found in sorted(below.items())},
        "leaf_example": "/".join((name, *rest)),
        "finer_level": "leaf" if unique else str(max(map(len, leaves))),  # leaf would merge folders of one name
    }


def _ask_which_are_classes(root: Path, folders: Sequence[Folders]) -> None:
    """Raise UserError if all outer folders hold the same folders: they may be splits, folds, sites or classes with parts."""
    below = defaultdict(set)
    for path in folders:
        if path:
            below[path[0]].update(path[1:2])
    if len(below) < 2 or not _hold_the_same(list(below.values())):
        return
    outer, inner = _listed(sorted(below)), _listed(sorted(set.union(*below.values())))
    if all(is_fold(name) for name in below):
        raise UserError(
            f"the folders {outer} in {root} are folds: set dataset.class_level=leaf to use {inner} as the classes, and "
            f"dataset.group_pattern='([^/]*{min(below)[:4]}[^/]*)/' to keep each fold in one split"
        )
    raise UserError(
        f"the folders {outer} in {root} all hold the folders {inner}: which are the classes? Set dataset.class_level=top "
        f"for {outer}, leaf for {inner}, or 2 for each pair; if they are splits, rename them to train, val and test"
    )


def _hold_the_same(sets: Sequence[set[str]]) -> bool:
    common = set.intersection(*sets)
    return len(common) >= 2 and len(common) >= ALIKE_SHARE * max(map(len, sets))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")


def note_similar_names(collection: Collection) -> Collection:
    """Note the classes that differ only in case, spaces, - or _: they are probably one class spelled in two ways."""
    same = defaultdict(list)
    for name in collection.classes:
        same[folded(name)].append(name)
    pairs = [list(pair) for names in same.values() for pair in combinations(names, 2)]
    if pairs:
        collection.notes["similar_classes"] = pairs
    return collection


def _match_classes(collection: Collection, config: DatasetConfig) -> Collection:
    """Note the classes missing from val or test; refuse those missing from train, unless the data set is split by class."""
    present = {part: set(collection.labels[collection.parts == part].tolist()) for part in PARTS}
    if not present["train"] or config.split_by == "class":
        return collection
    known = [collection.classes[index] for index in sorted(present["train"])]
    problems = [
        f"the {part} split has the class '{collection.classes[index]}', which the train split lacks"
        + suggest(collection.classes[index], known)
        for part in ("val", "test")
        for index in sorted(present[part] - present["train"])
    ]
    if problems:
        raise UserError(*problems)
    missing = {
        part: [collection.classes[index] for index in sorted(present["train"] - present[part])]
        for part in ("val", "test")
        if present[part] and present["train"] - present[part]
    }
    collection.notes["missing_classes"] = missing
    return collection


def check_classes(collection: Collection, root: Path) -> Collection:
    """Raise UserError unless there are at least two classes."""
    if len(collection.classes) < 2:
        raise UserError(
            f"{root} holds only one class ('{collection.classes[0]}'): dataset.root must be the folder above at least two "
            "class folders, or a list with at least two labels"
        )
    return collection


def _refuse_empty_folders(
    images: Sequence[FileEntry], positions: Sequence[Position], paths: Sequence[Folders], notes: dict
) -> None:
    """Raise UserError for class folders without images: after incomplete copying, a class could be missing unnoticed."""
    filled = {path[:depth] for path in set(paths) for depth in range(len(path) + 1)}
    kept = zip(images, positions, strict=True)
    one_of_each = {(entry.id.rpartition("/")[0], position): entry for entry, position in kept}
    parents = {}
    for (_, position), entry in one_of_each.items():
        if position.part in ("", "train"):
            outer = tuple(entry.id.split("/")[: position.above])
            parents.setdefault(outer, Path(entry.path).parents[entry.id.count("/") - position.above])
    for outer, parent in sorted(parents.items()):
        empty = sorted(
            name
            for entry in parent.iterdir()
            if entry.is_dir()
            and not is_hidden(entry.name)
            and (*outer, name := readable_name(entry.name)) not in filled
            and not holds_results(entry)
        )
        if empty:
            unused = describe_unused(notes.get("unused", ()))
            raise UserError(
                f"no images in the class folder{'s' if len(empty) > 1 else ''} {', '.join(empty[:10])} of {parent}: "
                "add images or remove the folder" + (f"; not used in {parent}: {unused}" if unused else "")
            )
