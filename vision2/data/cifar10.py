"""CIFAR-10 (Krizhevsky 2009): the official files, or an export to train|test/CLASS/*.{png,jpg}."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.errors import UserError
from vision2.basics.files import replacing
from vision2.data.archives import unpack
from vision2.data.collection import Collection, collect
from vision2.data.download import Published, fetch
from vision2.data.listing import FileEntry, list_images, refuse_too_many_bad
from vision2.data.places import absent, cache_root, download_folder

if TYPE_CHECKING:
    from vision2.config.schema import DatasetConfig

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIZE_PX = 32
ARCHIVE = Published(
    name="cifar-10-python.tar.gz",
    addresses=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
    size_bytes=170_498_071,
    algorithm="md5",
    digest="c58f30108f718f92721af3b95e74349a",
)
FORMAT = 1  # of the decoded copy in the cache


def find(config: DatasetConfig, show_progress: bool = True) -> Collection:
    """The resident images, 50,000 to train (and validate) on, 10,000 to test.

    Raises:
        UserError: when neither form is there and it may not or cannot be downloaded.
    """
    place = download_folder(config)
    if (place / "train").is_dir() and (place / "test").is_dir():
        return _read_export(place, config, show_progress)
    return _read_official(place, config, show_progress)


def find_files(config: DatasetConfig) -> Collection:
    """The export's files, not decoded, for the audit.

    Raises:
        UserError: when the root holds no export.
    """
    place = download_folder(config)
    if not (place / "train").is_dir() or not (place / "test").is_dir():
        raise absent(config, "the image files", f"train/ and test/ in {place}", "the official files cannot be audited")
    return _list_export(place)


def _read_official(place: Path, config: DatasetConfig, show_progress: bool) -> Collection:
    import torch
    from torchvision.datasets import CIFAR10

    from vision2.data.sources import ResidentImages

    if not (place / "cifar-10-batches-py").is_dir():
        unpack(_archive(place, config, show_progress), place)
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
    short = [
        f"{part}/{name}"
        for part in ("train", "test")
        for name in CLASSES
        if name not in {labels[i] for i in range(len(labels)) if parts[i] == part}
    ]
    if short:
        raise UserError(f"dataset=cifar10: no images in {', '.join(short)} below {place}: unpack the export again")
    return collection


def _read_export(place: Path, config: DatasetConfig, show_progress: bool) -> Collection:
    """Decoded once in threads; the pixels are kept in the cache under a key of names, sizes and times of all files."""
    import torch

    from vision2.data.sources import ResidentImages

    listed = _list_export(place)
    copy = cache_root(config.cache_dir) / "cifar10" / f"{_content_key(listed.files)}.npy"
    pixels = _load_copy(copy, len(listed)) if config.cache == "disk" else None
    if pixels is None:
        pixels, bad = decode_small(listed.files, SIZE_PX, show_progress=show_progress)
        refuse_too_many_bad(
            [f"{entry['path']} ({entry['reason']})" for entry in bad], len(listed), config.max_bad_share
        )
        if bad:
            good = np.setdiff1d(np.arange(len(listed)), [entry["index"] for entry in bad])
            listed, pixels = listed.keep(good), pixels[good]
            listed.notes["skipped"] = [{"path": entry["path"], "reason": entry["reason"]} for entry in bad]
        elif config.cache == "disk":
            _save_copy(copy, pixels)
    images = ResidentImages(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    return replace(listed, files=(), images=images, content=hashlib.blake2b(pixels, digest_size=16).hexdigest())


def decode_small(files: Sequence[FileEntry], size_px: int, *, show_progress: bool) -> tuple[np.ndarray, list[dict]]:
    """((N, S, S, 3) uint8, what could not be decoded as {index, path, reason}).

    Raises:
        UserError: for an image of another size.
    """
    from tqdm import tqdm

    from vision2.data.decode import BadImage, decode_image

    pixels = np.zeros((len(files), size_px, size_px, 3), dtype=np.uint8)

    def decode(chunk: range) -> list[dict]:
        bad = []
        for index in chunk:
            try:
                image = decode_image(files[index].path)
            except BadImage as error:
                bad.append({"index": index, "path": files[index].id, "reason": str(error)})
                continue
            if image.shape != pixels.shape[1:]:
                raise UserError(
                    f"{files[index].path} is {image.shape[1]} x {image.shape[0]} px, not {size_px} x {size_px}"
                )
            pixels[index] = image
        return bad

    chunks = [range(start, min(start + 500, len(files))) for start in range(0, len(files), 500)]
    bar = tqdm(total=len(files), desc="decoding", unit="image", disable=not show_progress, leave=False)
    bad = []
    with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        for chunk, found in zip(chunks, pool.map(decode, chunks), strict=True):
            bad += found
            bar.update(len(chunk))
    return pixels, bad


def _content_key(files: Sequence[FileEntry]) -> str:
    digest = hashlib.blake2b(f"{FORMAT}".encode(), digest_size=16)
    for entry in files:
        state = entry.path.stat()
        digest.update(f"{entry.id}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _load_copy(path: Path, count: int) -> np.ndarray | None:
    """The pixels kept before, or None when there are none or they are damaged."""
    try:
        pixels = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return pixels if pixels.shape == (count, SIZE_PX, SIZE_PX, 3) and pixels.dtype == np.uint8 else None


def _save_copy(path: Path, pixels: np.ndarray) -> None:
    """Best effort: a full or read-only disk costs the next start some seconds, not this run."""
    try:
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, pixels, allow_pickle=False)
    except OSError as error:
        warnings.warn(f"could not keep the decoded images in {path.parent}: {error.strerror}", stacklevel=2)
