"""Decode once: photographs as uint8 in a memory-mapped store, shorter side at most `store_px`, aspect kept.

Smaller images stay as they are. All three kinds of cache give the same bytes: the same function fills them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vision2.basics.errors import UserError
from vision2.data.files.decode import BadImage, decode_image
from vision2.data.files.listing import FileEntry, refuse_too_many_bad
from vision2.data.store.image_sources import DecodedImages, ImageSource, MappedImages, MemoryImages, ResidentImages
from vision2.data.store.locks import FileLock
from vision2.data.store.store_folder import lock_path, make_room, mark_used, read_meta, remove_leftovers, stores_folder

VERSION = 2  # of the store's layout and of the decoding rules; a change makes every store new
RESIDENT_PX = 96  # squares of one size up to here are kept as one tensor
RESIDENT_BYTES = 2 * 10**9
ROOM_STEP_BYTES = 16 * 2**20  # how often a growing store looks whether it still fits
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class BadFile:
    index: int  # into the files
    path: str
    reason: str


def open_store(
    files: Sequence[FileEntry],
    *,
    store_px: int,
    cache: str,
    cache_dir: str | None,
    cache_gb: float,
    max_bad_share: float,
    show_progress: bool,
) -> tuple[ImageSource, list[BadFile]]:
    """The images of `files`, one for each file (reading a bad one raises BadImage), and which are bad.

    Args:
        store_px: shorter side that larger images are scaled down to.
        cache: off (decode at each reading) | memory | disk.

    Raises:
        UserError: when too many files are bad, the disk is full or `cache_gb` too small.
    """
    if cache == "disk":
        images, reasons = _open_mapped(files, store_px, stores_folder(cache_dir), cache_gb, show_progress)
    else:
        images, reasons = _open_unmapped(files, store_px, cache == "memory", show_progress)
    bad = [BadFile(index, files[index].id, reason) for index, reason in sorted(reasons.items())]
    refuse_too_many_bad([f"{entry.path} ({entry.reason})" for entry in bad], len(files), max_bad_share)
    return images, bad


def decode_entry(entry: FileEntry, store_px: int) -> np.ndarray:
    """(H, W, 3) uint8 as every cache holds it. Raises BadImage."""
    try:
        data = entry.read_bytes()
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror or error}") from error
    return decode_image(data, shorter_side_px=store_px)


def _decode_all(
    files: Sequence[FileEntry], store_px: int, show_progress: bool
) -> Iterator[tuple[int, np.ndarray | BadImage]]:
    """(index, image or what is wrong with it) in the order of the files, on all cores; Pillow frees the interpreter."""
    from tqdm import tqdm

    def decode(entry: FileEntry) -> np.ndarray | BadImage:
        try:
            return decode_entry(entry, store_px)
        except BadImage as error:
            return error

    threads = os.cpu_count() or 1
    pool, ahead = ThreadPoolExecutor(threads, "decode"), deque()
    bar = tqdm(total=len(files), desc="decoding", unit="image", disable=None if show_progress else True, leave=False)
    try:
        for index in range(len(files) + 4 * threads):
            if index < len(files):
                ahead.append(pool.submit(decode, files[index]))
            if index >= 4 * threads and ahead:
                yield index - 4 * threads, ahead.popleft().result()
                bar.update()
    finally:
        bar.close()
        pool.shutdown(cancel_futures=True)


def _open_unmapped(
    files: Sequence[FileEntry], store_px: int, keep: bool, show_progress: bool
) -> tuple[ImageSource, dict[int, str]]:
    """Decoded into memory; or only checked, because a bad file must be known before the split, not in the third epoch."""
    arrays, reasons = [], {}
    small = True
    for index, image in _decode_all(files, store_px, show_progress):
        if isinstance(image, BadImage):
            reasons[index] = str(image)
            arrays.append(None)
            continue
        small = small and _may_be_resident({image.shape[:2]}, len(files))
        arrays.append(image if keep or small else None)
    whole = [array for array in arrays if array is not None]
    if small and whole and _may_be_resident({array.shape[:2] for array in whole}, len(whole)):
        rows = np.cumsum([array is not None for array in arrays]) - 1
        return _resident(np.stack(whole), rows), reasons
    if keep:
        return MemoryImages(arrays), reasons
    return DecodedImages(tuple(files), lambda entry: decode_entry(entry, store_px)), reasons


def _may_be_resident(sizes: set[tuple[int, int]], count: int) -> bool:
    if len(sizes) != 1:
        return False
    ((height, width),) = sizes
    return height == width <= RESIDENT_PX and count * height * width * 3 <= RESIDENT_BYTES


def _resident(pixels: np.ndarray, rows: np.ndarray) -> ResidentImages:
    """`pixels` (M, S, S, 3); the row of a bad image is that of the one before it and never asked for."""
    import torch

    return ResidentImages(torch.from_numpy(pixels).permute(0, 3, 1, 2), np.maximum(rows, 0))


def _open_mapped(
    files: Sequence[FileEntry], store_px: int, folder: Path, cache_gb: float, show_progress: bool
) -> tuple[ImageSource, dict[int, str]]:
    key = store_key(files, store_px)
    try:
        while True:
            lock = _lock(folder, key, shared=True)
            meta = read_meta(folder / key, VERSION)
            if meta is not None:
                mark_used(folder / key)
                return _map(folder / key, meta, lock)
            lock.release()
            with _lock(folder, key, shared=False):
                if read_meta(folder / key, VERSION) is None:
                    _build(files, store_px, folder / key, cache_gb, show_progress)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise UserError(
                f"the disk is full: {folder} has no room for the decoded images; free some, point dataset.cache_dir to "
                "another disk, or set dataset.cache=memory or off"
            ) from error
        raise UserError(
            f"cannot use the cache folder {folder}: {error.strerror or error}; set dataset.cache_dir to a folder you may "
            "write to, or dataset.cache=memory or off"
        ) from error


def _lock(folder: Path, key: str, *, shared: bool) -> FileLock:
    lock = FileLock.acquire(lock_path(folder, key), shared=shared, wait=False)
    if lock is None:
        print("waiting for another process that is decoding the same images", file=sys.stderr, flush=True)
        lock = FileLock.acquire(lock_path(folder, key), shared=shared)
    return lock


def store_key(files: Sequence[FileEntry], store_px: int) -> str:
    """Of the files' places, sizes and times, the wanted size, the rules and the decoder."""
    from PIL import __version__ as pillow

    digest = hashlib.blake2b(f"{VERSION} {pillow} {store_px}".encode(), digest_size=12)
    states: dict[Path, tuple[int, int]] = {}
    for entry in files:
        if entry.path not in states:
            try:
                state = entry.path.stat()
                states[entry.path] = (state.st_size, state.st_mtime_ns)
            except OSError:
                states[entry.path] = (-1, -1)  # gone: it will be found bad
        place = os.path.abspath(entry.path)  # noqa: PTH100 - links stay as they are
        digest.update(repr((place, entry.member, *states[entry.path])).encode())
    return digest.hexdigest()


def _build(files: Sequence[FileEntry], store_px: int, target: Path, cache_gb: float, show_progress: bool) -> None:
    """Write the store beside its place and rename it; the caller holds its lock alone."""
    folder = target.parent
    remove_leftovers(folder)
    for leftover in [target, *folder.glob(f".{target.name}.*.building")]:
        shutil.rmtree(leftover, ignore_errors=True)
    building = folder / f".{target.name}.{os.getpid()}.building"
    building.mkdir()
    try:
        index, reasons, written = _write_pixels(files, store_px, building, cache_gb, show_progress)
        make_room(folder, for_bytes=written + index.nbytes, limit_gb=cache_gb)
        np.save(building / "index.npy", index, allow_pickle=False)
        meta = {
            "version": VERSION,
            "images": len(files),
            "store_px": store_px,
            "bytes": written,
            "source": os.path.commonpath([entry.path.absolute().parent for entry in files]) if files else "",
            "bad": {str(position): reason for position, reason in reasons.items()},
        }
        (building / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
        for file in building.iterdir():
            _flush(file)
        building.rename(target)
        _flush(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_pixels(
    files: Sequence[FileEntry], store_px: int, building: Path, cache_gb: float, show_progress: bool
) -> tuple[np.ndarray, dict[int, str], int]:
    """(index (N, 3), reasons, bytes). Plain writes: a full disk is then an error here and not a crash of whoever maps."""
    index, reasons = np.zeros((len(files), 3), dtype=np.int64), {}
    written = checked = 0
    with (building / "pixels.bin").open("wb") as stream:
        for position, image in _decode_all(files, store_px, show_progress):
            if isinstance(image, BadImage):
                reasons[position] = str(image)
                continue
            index[position] = (written, *image.shape[:2])
            stream.write(image.data)
            written += image.nbytes
            if written - checked >= ROOM_STEP_BYTES:
                make_room(building.parent, for_bytes=written, limit_gb=cache_gb)
                checked = written
    return index, reasons, written


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot flush a folder
            os.fsync(handle)
    finally:
        os.close(handle)


def _map(store: Path, meta: dict, lock: FileLock) -> tuple[ImageSource, dict[int, str]]:
    index = np.load(store / "index.npy", allow_pickle=False)
    reasons = {int(position): reason for position, reason in meta["bad"].items()}
    if meta["bytes"] == 0:
        return MemoryImages([None] * len(index)), reasons
    # Copy-on-write only because torch takes no read-only array: nobody writes, and the pages stay shared.
    pixels = np.memmap(store / "pixels.bin", dtype=np.uint8, mode="c")
    good = index[:, 1] > 0
    if _may_be_resident(set(map(tuple, index[good, 1:].tolist())), int(good.sum())):
        side = int(index[good][0, 1])
        return _resident(np.array(pixels).reshape(-1, side, side, 3), np.cumsum(good) - 1), reasons
    return MappedImages(pixels, index, lock), reasons
