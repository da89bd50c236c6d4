"""CIFAR-10 (Krizhevsky 2009): the official files, or an export to train|test/CLASS/*.{png,jpg}."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.errors import UserError
from vision2.data.collection import Collection, collect
from vision2.data.files.download import Published, download_folder, obtain
from vision2.data.files.listing import FileEntry, list_place

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIZE_PX = 32
ARCHIVE = Published(
    name="cifar-10-python.tar.gz",
    addresses=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
    size_bytes=170_498_071,
    md5="c58f30108f718f92721af3b95e74349a",
)


def find(config: DatasetConfig) -> Collection:
    """50,000 images for training and validation and 10,000 for testing; the official files are read into memory.

    Raises:
        UserError: when neither form is present and the archive may not or cannot be downloaded.
    """
    place = download_folder(config)
    if _is_export(place):
        return _list_export(place)
    if not (place / "cifar-10-batches-py").is_dir():
        _download(place, config)
    return _read_official(place)


def find_files(config: DatasetConfig) -> Collection:
    """The export's files, for the audit.

    Raises:
        UserError: when the root holds no export.
    """
    place = download_folder(config)
    if not _is_export(place):
        raise UserError(
            f"dataset=cifar10: no image files found (looked for train/ and test/ in {place}); set dataset.root to an export"
            " with these folders, because the six official files cannot be audited"
        )
    return _list_export(place)


def _is_export(place: Path) -> bool:
    return (place / "train").is_dir() and (place / "test").is_dir()


def _download(place: Path, config: DatasetConfig) -> None:
    archive = place / ARCHIVE.name
    others = [path for path in place.glob("[!.]*") if not path.name.startswith(ARCHIVE.name)]
    if config.root is not None and others:  # a download would end up among the user's files
        raise UserError(
            f"dataset=cifar10: {place} holds other files and no CIFAR-10 (train/ and test/, or cifar-10-batches-py/):"
            " use dataset=folder for your own images, or leave dataset.root out to download"
        )
    remedy = (
        "if you have cifar-10-batches-py/, or train/ and test/, set dataset.root=FOLDER to the folder that holds them; "
        "otherwise set dataset.download=true (163 MiB)"
    )
    obtain(config, [ARCHIVE], place, allowed=config.download or archive.exists(), remedy=remedy)


def _read_official(place: Path) -> Collection:
    import torch
    from torchvision.datasets import CIFAR10

    from vision2.data.store.image_sources import TensorImages

    try:
        parts = [CIFAR10(place, train=train) for train in (True, False)]  # checks the hash of every file before reading it
    except RuntimeError as error:
        damaged = place / "cifar-10-batches-py"
        raise UserError(f"the CIFAR-10 files in {damaged} are damaged: delete that folder and start again") from error
    pixels = np.concatenate([part.data for part in parts])
    return Collection(
        classes=CLASSES,
        labels=np.concatenate([np.array(part.targets, dtype=np.int64) for part in parts]),
        ids=tuple(
            f"{name}/{index:05d}" for name, part in zip(("train", "test"), parts, strict=True) for index in range(len(part))
        ),
        parts=np.repeat(np.array(["train", "test"], dtype="<U5"), [len(part) for part in parts]),
        images=TensorImages(torch.from_numpy(pixels).permute(0, 3, 1, 2)),
        notes={"layout": "official files"},
        content=ARCHIVE.md5,
    )


def _list_export(place: Path) -> Collection:
    files, labels, parts, unused = [], [], [], []
    for part in ("train", "test"):
        listing = list_place(place / part)
        unused += listing.notes.get("unused", [])
        for entry in listing.images:
            label = entry.id.split("/")[0]
            if label not in CLASSES or entry.id.count("/") != 1:
                raise UserError(
                    f"dataset=cifar10: {place / part / entry.id} is in none of the ten class folders "
                    f"({', '.join(CLASSES)}): use dataset=folder for other classes"
                )
            files.append(FileEntry(entry.path, f"{part}/{entry.id}"))
            labels.append(label)
            parts.append(part)
    collection = collect(files, labels, parts, notes={"layout": "image-folder export", "unused": unused})
    present = set(zip(parts, labels, strict=True))
    short = [f"{part}/{name}" for part in ("train", "test") for name in CLASSES if (part, name) not in present]
    if short:
        raise UserError(f"dataset=cifar10: no images in {', '.join(short)} below {place}: copy or unpack the export again")
    return replace(collection, size_px=SIZE_PX)
