"""CIFAR-10 (Krizhevsky 2009): the official files, or an export to train|test/CLASS/*.{png,jpg}."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.errors import UserError
from vision2.data.collection import Collection, collect
from vision2.data.files.archives import unpack
from vision2.data.files.download import Published, fetch
from vision2.data.files.listing import FileEntry, list_images
from vision2.data.files.locations import absent, download_folder

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIZE_PX = 32
ARCHIVE = Published(
    name="cifar-10-python.tar.gz",
    addresses=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
    size_bytes=170_498_071,
    algorithm="md5",
    digest="c58f30108f718f92721af3b95e74349a",
)


def find(config: DatasetConfig, show_progress: bool = True) -> Collection:
    """The resident images, 50,000 to train (and validate) on, 10,000 to test.

    Raises:
        UserError: when neither form is there and it may not or cannot be downloaded.
    """
    place = download_folder(config)
    if (place / "train").is_dir() and (place / "test").is_dir():
        return _list_export(place)
    return _read_official(place, config, show_progress)


def find_files(config: DatasetConfig) -> Collection:
    """The export's files, for the audit.

    Raises:
        UserError: when the root holds no export.
    """
    place = download_folder(config)
    if not (place / "train").is_dir() or not (place / "test").is_dir():
        raise absent(config, "the image files", f"train/ and test/ in {place}", "the official files cannot be audited")
    return _list_export(place)


def _read_official(place: Path, config: DatasetConfig, show_progress: bool) -> Collection:
    if not (place / "cifar-10-batches-py").is_dir():
        unpack(_archive(place, config, show_progress), place)
    import torch
    from torchvision.datasets import CIFAR10

    from vision2.data.store.image_sources import ResidentImages

    try:
        parts = [CIFAR10(place, train=train) for train in (True, False)]  # checks every file's hash before it reads it
    except RuntimeError as error:
        damaged = place / "cifar-10-batches-py"
        raise UserError(f"the CIFAR-10 files in {damaged} are damaged: delete that folder and start again") from error
    pixels = np.concatenate([part.data for part in parts])
    return Collection(
        classes=CLASSES,
        labels=np.concatenate([np.array(part.targets, dtype=np.int64) for part in parts]),
        ids=tuple(
            f"{name}/{index:05d}"
            for name, part in zip(("train", "test"), parts, strict=True)
            for index in range(len(part))
        ),
        parts=np.repeat(np.array(["train", "test"], dtype="<U5"), [len(part) for part in parts]),
        images=ResidentImages(torch.from_numpy(pixels).permute(0, 3, 1, 2)),
        notes={"layout": "official files"},
        content=ARCHIVE.digest,
    )


def _archive(place: Path, config: DatasetConfig, show_progress: bool) -> Path:
    others = [path for path in place.glob("[!.]*") if not path.name.startswith(ARCHIVE.name)]
    if config.root is not None and others:  # somebody's own folder: a download would end up among their files
        raise UserError(
            f"dataset=cifar10: {place} holds other files and no CIFAR-10 (train/ and test/, or cifar-10-batches-py/):"
            " use dataset=folder for your own images, or leave dataset.root out to download"
        )
    if not (place / ARCHIVE.name).exists() and not config.download:
        remedy = "set dataset.root=FOLDER to where they are, or dataset.download=true (163 MiB)"
        raise absent(
            config, "the images", f"train/ and test/, cifar-10-batches-py/ or {ARCHIVE.name} in {place}", remedy
        )
    return fetch(ARCHIVE, place, show_progress=show_progress)


def _list_export(place: Path) -> Collection:
    files, labels, parts = [], [], []
    for part in ("train", "test"):
        for entry in list_images(place / part):
            label = entry.id.split("/")[0]
            if label not in CLASSES or entry.id.count("/") != 1:
                raise UserError(
                    f"dataset=cifar10: {place / part / entry.id} is in none of the ten class folders "
                    f"({', '.join(CLASSES)}): use dataset=folder for other classes"
                )
            files.append(FileEntry(entry.path, f"{part}/{entry.id}"))
            labels.append(label)
            parts.append(part)
    collection = collect(files, labels, parts, notes={"layout": "image-folder export"})
    present = set(zip(parts, labels, strict=True))
    short = [f"{part}/{name}" for part in ("train", "test") for name in CLASSES if (part, name) not in present]
    if short:
        raise UserError(f"dataset=cifar10: no images in {', '.join(short)} below {place}: unpack the export again")
    return replace(collection, size_px=SIZE_PX)
