"""Decode photographs once: uint8 in a memory-mapped store, shorter side at most `store_px`, aspect kept.

Smaller images are not enlarged. All three kinds of cache give the same pixels, because one function fills them.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vision2.basics.errors import UserError, is_disk_full
from vision2.basics.threads import map_ahead, usable_cpus
from vision2.data.files.decode import BadImage, decode_entry
from vision2.data.files.listing import FileEntry
from vision2.data.store.image_sources import ArrayImages, FileImages, ImageSource, MappedImages, OpenStore, TensorImages
from vision2.data.store.store_folder import (
    make_room,
    mark_used,
    read_meta,
    remove_leftovers,
    start_using,
    store_lock,
    stores_folder,
)

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig

VERSION = 4  # of the store's layout and of the decoding rules; a new version rebuilds every store
IN_MEMORY_PX = 96  # squares of one size up to this are kept in memory as one tensor
IN_MEMORY_BYTES = 2 * 10**9
ROOM_STEP_BYTES = 16 * 2**20  # how often a growing store checks that it still fits


class Opened(NamedTuple):
    """One image for each file; the reason for each bad file, reading which raises BadImage; the images of a single colour."""

    images: ImageSource
    bad: dict[int, str]
    one_colour: list[int]


def open_store(files: Sequence[FileEntry], config: DatasetConfig, *, store_px: int) -> Opened:
    """Open the images of `files`, decoding them if they are not in a store.

    `config.cache` says where they are kept: off (decode at every read) | memory | disk. `store_px` is the shorter side that
    larger images are scaled down to.

    Raises:
        UserError: when too many files are bad, the disk is full or `config.cache_gb` is too small.
    """
    if config.cache == "disk":
        opened = _open_mapped(files, config, store_px)
    else:
        opened = _open_unmapped(files, store_px, config.cache == "memory")
    bad = opened.bad
    if len(bad) > config.max_bad_share * len(files):
        first, reason = min(bad.items())
        raise UserError(
            f"{len(bad)} of {len(files)} images cannot be decoded, more than dataset.max_bad_share="
            f"{config.max_bad_share:g} allows; first: {files[first].id} ({reason}); look at them with "
            "`python -m vision2.audit`, or raise dataset.max_bad_share"
        )
    return opened


def _decode_all(files: Sequence[FileEntry], store_px: int) -> Iterator[tuple[int, np.ndarray | BadImage]]:
    """Yield (index, image or BadImage) in the order of the files, using threads on all cores; Pillow releases the GIL."""
    from tqdm import tqdm

    def decode(entry: FileEntry) -> np.ndarray | BadImage:
        try:
            return decode_entry(entry, store_px)
        except BadImage as error:
            return error

    threads = usable_cpus()
    images = map_ahead(decode, files, threads=threads, ahead=4 * threads, name="decode")
    return enumerate(tqdm(images, total=len(files), desc="decoding", unit="image", disable=None, leave=False))


def _open_unmapped(files: Sequence[FileEntry], store_px: int, keep: bool) -> Opened:
    """Decode into memory, or only check: bad files must be known before the split is drawn, not in the third epoch."""
    arrays, reasons, one_colour, small = [], {}, [], True
    for index, image in _decode_all(files, store_px):
        if isinstance(image, BadImage):
            reasons[index] = str(image)
            arrays.append(None)
            continue
        one_colour += [index] * _has_one_colour(image)
        small = small and _fit_one_tensor({image.shape[:2]}, len(files))
        arrays.append(image if keep or small else None)
    whole = [array for array in arrays if array is not None]
    if small and whole and _fit_one_tensor({array.shape[:2] for array in whole}, len(whole)):
        return Opened(_one_tensor(np.stack(whole), np.array([array is not None for array in arrays])), reasons, one_colour)
    return Opened(ArrayImages(arrays) if keep else FileImages(files, store_px), reasons, one_colour)


def _has_one_colour(image: np.ndarray) -> bool:
    return bool((image[0] == image[0, 0]).all() and (image == image[0, 0]).all())  # most images differ in their first row


def _fit_one_tensor(sizes: set[tuple[int, int]], count: int) -> bool:
    if len(sizes) != 1:
        return False
    ((height, width),) = sizes
    return height == width <= IN_MEMORY_PX and count * height * width * 3 <= IN_MEMORY_BYTES


def _one_tensor(pixels: np.ndarray, good: np.ndarray, store: OpenStore | None = None) -> TensorImages:
    """`pixels` (M, S, S, 3) of the M `good` (N,) images; a bad one gets the row of the one before it and is never read."""
    import torch

    return TensorImages(torch.from_numpy(pixels).permute(0, 3, 1, 2), np.maximum(np.cumsum(good) - 1, 0), store)


def _open_mapped(files: Sequence[FileEntry], config: DatasetConfig, store_px: int) -> Opened:
    folder = stores_folder(config.cache_dir)
    store = folder / store_key(files, store_px)
    try:
        with store_lock(store):
            meta = read_meta(store, VERSION)
            if meta is None:
                _build(files, store_px, store, config.cache_gb)
                meta = read_meta(store, VERSION)
            mark_used(store)
            lock = start_using(store)
        return _map(store, meta, lock)
    except OSError as error:
        if is_disk_full(error):
            raise UserError(
                f"the disk is full: {folder} has no room for the decoded images; free some space, set dataset.cache_dir to "
                "another disk, or set dataset.cache=memory or off"
            ) from error
        raise UserError(
            f"cannot use the cache folder {folder}: {error.strerror or error}; set dataset.cache_dir to a writable"
            " folder on a disk that has file locks, or dataset.cache=memory or off"
        ) from error


def store_key(files: Sequence[FileEntry], store_px: int) -> str:
    """A hash of the files' paths, sizes and times, `store_px`, and the versions of the decoding rules and of Pillow."""
    from PIL import __version__ as pillow

    digest = hashlib.blake2b(f"{VERSION} {pillow} {store_px}".encode(), digest_size=12)
    absolute = cache(_absolute_folder)
    last, place, size, changed = None, "", 0, 0
    for entry in files:
        if entry.path != last:  # the members of a zip follow one another
            last, (folder, slash, name) = entry.path, entry.path.rpartition("/")
            place, (size, changed) = absolute(folder + slash) + name, entry.state()
        digest.update(f"({place!r}, {entry.member!r}, {size}, {changed})".encode())
    return digest.hexdigest()


def _absolute_folder(folder: str) -> str:
    """The absolute path of a folder, with a slash at its end; links stay as they are. A file's takes as long as its `stat`."""
    return os.path.join(os.path.abspath(folder), "")  # noqa: PTH100, PTH118


def _build(files: Sequence[FileEntry], store_px: int, target: Path, cache_gb: float) -> None:
    """Write the store under a temporary name and rename it; the caller holds its lock."""
    folder = target.parent
    remove_leftovers(folder)
    for leftover in [target, *folder.glob(f".{target.name}.*.building")]:
        shutil.rmtree(leftover, ignore_errors=True)
    building = folder / f".{target.name}.{os.getpid()}.building"
    building.mkdir()
    try:
        index, facts = _write_pixels(files, store_px, building, cache_gb)
        make_room(folder, for_bytes=facts["bytes"] + index.nbytes, limit_gb=cache_gb)
        np.save(building / "index.npy", index, allow_pickle=False)
        meta = {
            "version": VERSION,
            "images": len(files),
            "store_px": store_px,
            "source": os.path.commonpath([Path(entry.path).absolute().parent for entry in files]) if files else "",
            **facts,
        }
        images = _mapped_images(building, meta, index, lock=None)
        if images.fixed_size_px is not None:
            meta["digest"] = images.select(np.flatnonzero(index[:, 1])).digest()
        (building / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
        for file in building.iterdir():
            _flush(file)
        building.rename(target)
        _flush(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_pixels(files: Sequence[FileEntry], store_px: int, building: Path, cache_gb: float) -> tuple[np.ndarray, dict]:
    """Return (index (N, 3), what the metadata says about the images).

    Plain writes: a full disk raises an error here and crashes no mapped reader.
    """
    index, reasons, one_colour = np.zeros((len(files), 3), dtype=np.int64), {}, []
    written = checked = 0
    with (building / "pixels.bin").open("wb") as stream:
        for position, image in _decode_all(files, store_px):
            if isinstance(image, BadImage):
                reasons[str(position)] = str(image)
                continue
            one_colour += [position] * _has_one_colour(image)
            index[position] = (written, *image.shape[:2])
            stream.write(image.data)
            written += image.nbytes
            if written - checked >= ROOM_STEP_BYTES:
                make_room(building.parent, for_bytes=written, limit_gb=cache_gb)
                checked = written
    return index, {"bytes": written, "bad": reasons, "one_colour": one_colour}


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot flush a folder
            os.fsync(handle)
    finally:
        os.close(handle)


def _map(store: Path, meta: dict, lock: object) -> Opened:
    index = np.load(store / "index.npy", allow_pickle=False)
    reasons = {int(position): reason for position, reason in meta["bad"].items()}
    one_colour = meta.get("one_colour", [])  # absent, as is `digest`, from earlier stores, which are not decoded again for it
    return Opened(_mapped_images(store, meta, index, lock), reasons, one_colour)


def _mapped_images(folder: Path, meta: dict, index: np.ndarray, lock: object) -> ImageSource:
    if meta["bytes"] == 0:
        return ArrayImages([None] * len(index))
    # Copy-on-write only because torch does not accept read-only arrays: nothing is written, so the pages stay shared.
    with (folder / "pixels.bin").open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    pixels, good, opened = np.frombuffer(mapped, np.uint8), index[:, 1] > 0, OpenStore(folder.name, lock, meta.get("digest"))
    sizes = index[good, 1:]
    if (sizes == sizes[0]).all() and _fit_one_tensor({tuple(sizes[0].tolist())}, len(sizes)):
        mapped.madvise(mmap.MADV_WILLNEED)  # read in order now; shuffled training would seek for every image
        side = int(sizes[0, 0])
        return _one_tensor(pixels.reshape(-1, side, side, 3), good, opened)
    return MappedImages(pixels, index, opened)
