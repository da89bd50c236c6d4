"""Cats and dogs in the usual layouts, or downloaded from a named source.

Layouts: the Microsoft/Kaggle archive (`PetImages/Cat/0.jpg`), Kaggle's flat `train/cat.0.jpg`, or class folders, with or
without train/val/test above, in a folder or a zip; Oxford-IIIT Pet (Parkhi et al. 2012) with the species as the label.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from vision2.basics.errors import UserError, first_few
from vision2.data.collection import Collection, collect
from vision2.data.files.download import Published, download_folder, mirrored, obtain
from vision2.data.files.layouts import check_classes
from vision2.data.files.listing import FileEntry, list_images
from vision2.data.files.part_names import part_of
from vision2.data.files.places import images_below, open_place
from vision2.data.settings import DatasetConfig

NAMES = {"cat": "cat", "cats": "cat", "gato": "cat", "gatos": "cat", "dog": "dog", "dogs": "dog"}
NAMES |= {"perro": "dog", "perros": "dog"}
FLAT_NAME = re.compile(r"(cat|dog)s?[._ -]?\d+\.", re.IGNORECASE)

MICROSOFT = Published(
    name="kagglecatsanddogs_5340.zip",
    addresses=(
        "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip",
    ),
    size_bytes=824_887_076,  # no checksum is published; the zip's own CRCs are checked on reading
)
OXFORD = mirrored(
    ("https://www.robots.ox.ac.uk/~vgg/data/pets/data", "https://thor.robots.ox.ac.uk/pets"),
    ("images.tar.gz", 791_918_971, "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
    ("annotations.tar.gz", 19_173_078, "95a8c909bbe2e81eed6a22bccdf3f68f"),
)


def find(config: DatasetConfig) -> Collection:
    """Find the images. Raises UserError if they are missing and `dataset.source` names no archive that can be downloaded."""
    if config.source == "oxford_pet":
        folder = download_folder(config) / "oxford-iiit-pet"
        if not (folder / "images").is_dir() or not (folder / "annotations").is_dir():
            _obtain(config, OXFORD, folder)
        return _read_oxford_pet(folder)
    if config.root is not None:
        return read_cats_and_dogs(config.root, config)
    archive = download_folder(config) / MICROSOFT.name
    if not archive.exists():
        _obtain(config, [MICROSOFT], archive.parent)
    return read_cats_and_dogs(archive, config)


def _obtain(config: DatasetConfig, published: Sequence[Published], folder: Path) -> None:
    archives = "dataset.source=microsoft (787 MiB) or oxford_pet (774 MiB)"
    remedy = f"set dataset.root=FOLDER_OR_ZIP, or dataset.download=true with {archives}"
    obtain(config, published, folder, allowed=config.download and config.source is not None, remedy=remedy)


def read_cats_and_dogs(root: str | Path, config: DatasetConfig | None = None) -> Collection:
    """Take the class from the nearest folder called cat or dog, else from the file's name; other files are counted.

    Raises:
        UserError: when no cat or no dog is found.
    """
    config = config or DatasetConfig(name="cats_vs_dogs")
    root = open_place(root, config)
    listing = images_below(root, config)
    files, labels, unlabelled = [], [], 0
    for entry in listing.images:
        label = class_of(entry.id)
        unlabelled += label is None
        if label is not None:
            files.append(entry)
            labels.append(label)
    if not files:
        raise UserError(
            f"{root} holds images, but none in a folder called cat or dog or with a name such as cat.0.jpg: "
            "use dataset=folder for other classes"
        )
    _refuse_several_places(root, sorted({_place_of(entry.id) for entry in files}))
    parts = [_part_of(entry.id) for entry in files]
    if "train" not in parts:
        parts = [""] * len(parts)
    notes = {"layout": "cats and dogs", "unlabelled": unlabelled, **listing.notes}
    return check_classes(collect(files, labels, parts, notes=notes), root)


def _refuse_several_places(root: Path, places: list[str]) -> None:
    if len(places) < 2:
        return
    unpack, maybe = "unpack it, then " if root.is_file() else "", "which may be several data sets"
    if places[0]:
        found, advice = f"in several places ({first_few(places, 4)})", "give one of them as dataset.root"
    else:  # "" sorts first: some are not in a folder of their own
        below = first_few(places[1:], 4)
        which, them = (below, "it") if len(places) == 2 else ("one of these", "them")
        found, advice = (
            f"both directly in it and in {below}",
            f"give {which} as dataset.root, or move {them} out of this folder",
        )
    raise UserError(f"{root} holds cats and dogs {found}, {maybe}: {unpack}{advice}")


def class_of(name: str) -> str | None:
    """cat, dog or None for the path of an image.

    >>> class_of("PetImages/Cat/0.jpg"), class_of("train/dog.7.jpg"), class_of("test1/3.jpg")
    ('cat', 'dog', None)
    """
    path = PurePosixPath(name)
    for folder in reversed(path.parts[:-1]):
        if folder.lower() in NAMES:
            return NAMES[folder.lower()]
    match = FLAT_NAME.match(path.name)
    return match[1].lower() if match else None


def _place_of(name: str) -> str:
    """The folders above the image whose names are neither a class nor a split."""
    folders = PurePosixPath(name).parts[:-1]
    return "/".join(folder for folder in folders if folder.lower() not in NAMES and part_of(folder) is None)


def _part_of(name: str) -> str:
    found = [part for folder in PurePosixPath(name).parts[:-1] if (part := part_of(folder))]
    return found[0] if found else ""


def _read_oxford_pet(folder: Path) -> Collection:
    """Use the official test split; validation is drawn from trainval. Lines of a list hold name, breed, species (1 = cat)."""
    present = {entry.id for entry in list_images(folder / "images")}
    files, labels, parts = [], [], []
    for listed, part in (("trainval", "train"), ("test", "test")):
        for line in (folder / "annotations" / f"{listed}.txt").read_text().splitlines():
            name, _, species, _ = line.split()
            if f"{name}.jpg" in present:
                files.append(FileEntry(str(folder / "images" / f"{name}.jpg"), f"images/{name}.jpg"))
                labels.append("cat" if species == "1" else "dog")
                parts.append(part)
    return check_classes(collect(files, labels, parts, notes={"layout": "Oxford-IIIT Pet"}), folder)
