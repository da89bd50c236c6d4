"""How people lay out image folders: class folders, train/val/test folders, a CSV list; in a folder or in a zip."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path, PurePosixPath

from vision2.basics.errors import UserError, suggest
from vision2.data.collection import PARTS, Collection, collect
from vision2.data.files.listing import FileEntry, is_hidden, list_images
from vision2.data.files.locations import existing_path
from vision2.data.files.own_results import holds_results

PART_NAMES = {
    **dict.fromkeys(("train", "training", "train_set", "training_set"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "validation_set"), "val"),
    **dict.fromkeys(("test", "testing", "test_set"), "test"),
}
DELIMITERS = (",", ";", "\t")  # of spreadsheets, depending on the country


def read_layout(place: str | Path) -> Collection:
    """The collection at `place`: a folder or zip of class folders, with or without train/val/test above, or a CSV list.

    Classes are matched by name across the splits: a class that val or test lacks is noted, one that train lacks is an
    error. Folders below a class folder belong to the class.

    Raises:
        UserError: for a place that does not exist, has no images, has a single class, or has an empty class folder.
    """
    root = existing_path(place, "dataset.root")
    if root.suffix.lower() == ".csv":
        return check_classes(_read_csv(root), root)
    files = images_below(root)
    paths = [PurePosixPath(entry.id).parts for entry in files]
    depth = wrapper_depth(paths)
    split = _has_split_folders(paths, depth)
    class_depth = depth + 1 if split else depth
    kept, labels, parts, loose = [], [], [], 0
    for entry, path in zip(files, paths, strict=True):
        part = PART_NAMES.get(path[depth].lower()) if split else ""
        if len(path) <= class_depth + 1 or part is None:
            loose += 1
            continue
        kept.append(entry)
        labels.append(path[class_depth])
        parts.append(part)
    notes = {"layout": "train/val/test folders" if split else "class folders", "outside_class_folders": loose}
    if not kept:
        raise UserError(
            f"{root} holds {len(files)} images but no class folders: put the images of each class into a folder with its "
            "name, or give a CSV list (path,label) as dataset.root"
        )
    collection = check_classes(_match_classes(collect(kept, labels, parts, notes=notes)), root)
    _refuse_empty_folders(root, paths[0][:depth], split, collection.classes)
    return collection


def images_below(root: Path) -> list[FileEntry]:
    """`list_images`, but never empty.

    Raises:
        UserError: when there are none; names zip archives there that are still packed.
    """
    files = list_images(root)
    if files:
        return files
    packed = sorted(path.name for path in root.glob("*.zip")) if root.is_dir() else []
    hint = f", only {', '.join(packed[:3])}: give that file as dataset.root" if packed else ""
    raise UserError(f"dataset.root: no images found below {root}{hint}")


def wrapper_depth(paths: list[tuple[str, ...]]) -> int:
    """How many outer folders contain everything and so carry no meaning, e.g. 1 for `flower_photos/daisy/1.jpg`."""
    depth = 0
    while all(len(path) >= depth + 3 for path in paths):
        names = {path[depth] for path in paths}
        if len(names) > 1 or next(iter(names)).lower() in PART_NAMES:
            break
        depth += 1
    return depth


def _has_split_folders(paths: list[tuple[str, ...]], depth: int) -> bool:
    """Whether there is a `train/CLASS/...`, alone or beside val or test; a class named "train" is not a split."""
    names = {path[depth].lower() for path in paths if len(path) >= depth + 3}
    parts = {PART_NAMES[name] for name in names if name in PART_NAMES}
    return "train" in parts and (len(parts) > 1 or len(names) == 1)


def _match_classes(collection: Collection) -> Collection:
    """Note the classes that val or test lack, refuse those that train lacks."""
    present = {part: set(collection.labels[collection.parts == part].tolist()) for part in PARTS}
    if not present["train"]:
        return collection
    known = [collection.classes[index] for index in sorted(present["train"])]
    problems = [
        f"the {part} folder has the class '{collection.classes[index]}', which the train folder lacks"
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
    """Raises UserError unless there are at least two classes."""
    if len(collection.classes) < 2:
        raise UserError(
            f"{root} holds only one class ('{collection.classes[0]}'): dataset.root must be the folder above the class "
            "folders, and there must be at least two"
        )
    return collection


def _refuse_empty_folders(root: Path, wrapper: tuple[str, ...], split: bool, classes: tuple[str, ...]) -> None:
    """Raises UserError for class folders without images: after a slip in copying, a class would be missing unnoticed."""
    if not root.is_dir():
        return
    base = root.joinpath(*wrapper)
    tops = [top for top in base.iterdir() if PART_NAMES.get(top.name.lower()) == "train"] if split else [base]
    empty = sorted(
        entry.name
        for top in tops
        for entry in top.iterdir()
        if entry.is_dir() and not is_hidden(entry.name) and entry.name not in classes and not holds_results(entry)
    )
    if empty:
        raise UserError(
            f"no images in the class folder{'s' if len(empty) > 1 else ''} {', '.join(empty[:10])} of {tops[0]}: "
            "add images or remove the folder"
        )


def _read_csv(path: Path) -> Collection:
    """A list with the header `path,label` or `path,label,split` (or with `;` or tabs); paths are relative to its folder."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            first = stream.readline()
            stream.seek(0)
            rows = list(csv.DictReader(stream, delimiter=max(DELIMITERS, key=first.count)))
            header = rows[0].keys() if rows else ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        hint = "; save it as UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        raise UserError(f"cannot read the list {path}: {error}{hint}") from error
    if not rows or not {"path", "label"} <= set(header):
        raise UserError(f"the list {path} needs the first line 'path,label' or 'path,label,split', and an image per line below")
    files, labels, parts, problems = [], [], [], []
    for line, row in enumerate(rows, start=2):
        part = PART_NAMES.get((row["split"] or "").strip().lower()) if "split" in header else ""
        name, label = (row["path"] or "").strip(), (row["label"] or "").strip()
        if not name or not label or part is None:
            problems.append(f"{path.name} line {line}: needs a path, a label" + " and a split of train, val or test")
            continue
        place = path.parent / name
        files.append(FileEntry(place, PurePosixPath(os.path.relpath(place, path.parent)).as_posix()))
        labels.append(label)
        parts.append(part)
    missing = [entry.id for entry in files if not entry.path.is_file()]
    if missing:
        problems.append(f"{len(missing)} of the files {path.name} lists do not exist below {path.parent}: {missing[0]}")
    twice = [name for name, times in Counter(entry.id for entry in files).items() if times > 1]
    if twice:
        problems.append(f"{path.name} lists {len(twice)} files more than once, first {twice[0]}")
    if problems:
        raise UserError(*problems[:10])
    order = sorted(range(len(files)), key=lambda index: files[index].id)
    files, labels, parts = ([column[index] for index in order] for column in (files, labels, parts))
    return _match_classes(collect(files, labels, parts, notes={"layout": "CSV list"}))
