"""The folder that holds all stores: list them, lock them, and delete those that are not in use.

A store is a folder named by its key: `pixels.bin` (all images one after another), `index.npy` (N, 3) of offset, height,
width (0 for an image that cannot be decoded) and `meta.json`. It is built as `.KEY.PID.building` and renamed when it is
complete. A process holds KEY.lock while it builds, opens or deletes the store; after opening it, it holds a lock on its
own file, `KEY/*.reader`, for as long as it reads, so a store is in use if one of these is locked. The operating system
releases the locks of a process however it ends.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from vision2.basics.errors import UserError
from vision2.data.files.locations import cache_root

GB = 10**9
PATIENCE_S = 1.0  # opening a store takes milliseconds; a process that holds its lock for longer is decoding
CONTENT = ("pixels.bin", "index.npy", "meta.json")


@dataclass(frozen=True)
class Store:
    path: Path
    bytes: int
    images: int
    store_px: int
    source: str  # the folder of the original files
    used: float  # seconds since 1970


def stores_folder(cache_dir: str | None) -> Path:
    return cache_root(cache_dir) / "stores"


def _lock(path: Path) -> FileLock:
    """A lock that raises OSError if the file system has no locks, instead of pretending to lock."""
    return FileLock(path, thread_local=False, fallback_to_soft=False)


@contextmanager
def store_lock(store: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold KEY.lock; yields False if `wait` is false and another process holds it."""
    store.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock(store.with_name(f"{store.name}.lock"))
    try:
        lock.acquire(timeout=PATIENCE_S if wait else 0)
    except Timeout:
        if not wait:
            yield False
            return
        print("waiting for another process that is decoding the same images", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield True
    finally:
        lock.release()


def start_using(store: Path) -> FileLock:
    """Mark the store as in use for as long as the returned lock exists. The caller holds `store_lock`."""
    in_use(store)
    lock = _lock(store / f"{secrets.token_hex(8)}.reader")
    lock.acquire()
    return lock


def in_use(store: Path) -> bool:
    """Whether a process is reading the store; removes the files of readers that ended. The caller holds `store_lock`."""
    found = False
    for path in store.glob("*.reader"):
        lock = _lock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            found = True
            continue
        path.unlink(missing_ok=True)
        lock.release()
    return found


def read_meta(store: Path, version: int) -> dict | None:
    """The metadata of a complete store of this version; None for anything else."""
    try:
        meta = json.loads((store / "meta.json").read_text(encoding="utf-8"))
        whole = meta["version"] == version and (store / "pixels.bin").stat().st_size == meta["bytes"]
        return meta if whole and (store / "index.npy").exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mark_used(store: Path) -> None:
    with suppress(OSError):  # another user's store may be read but not touched
        (store / "meta.json").touch()


def list_stores(folder: Path) -> list[Store]:
    """All stores, least recently used first; removes what killed builders left behind."""
    remove_leftovers(folder)
    found = []
    for meta_file in folder.glob("[!.]*/meta.json"):
        try:
            meta = json.loads(meta_file.read_text(encoding="utf-8"))
            size = sum((meta_file.parent / name).stat().st_size for name in CONTENT)
            used = meta_file.stat().st_mtime
            found.append(Store(meta_file.parent, size, meta["images"], meta["store_px"], meta["source"], used))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # deleted by another process meanwhile, or written by a version with other fields
    return sorted(found, key=lambda store: store.used)


def remove_leftovers(folder: Path) -> None:
    """Remove half-built stores whose builder has ended, which leaves their lock free."""
    for leftover in folder.glob(".*.building"):
        with store_lock(folder / leftover.name.split(".")[1], wait=False) as free:
            if free:
                shutil.rmtree(leftover, ignore_errors=True)


def delete_store(store: Path) -> bool:
    """Delete a store; returns False if it is in use."""
    with store_lock(store, wait=False) as free:
        if not free or in_use(store):
            return False
        # Renamed first, so that a process killed halfway leaves something to remove and not half a store.
        dying = store.with_name(f".{store.name}.{int(time.time())}.building")
        with suppress(FileNotFoundError):
            store.rename(dying)
        shutil.rmtree(dying, ignore_errors=True)
        # Removed while still locked: a process that waits for it sees that the file is gone and creates a new one.
        store.with_name(f"{store.name}.lock").unlink(missing_ok=True)
        return True


def make_room(folder: Path, *, for_bytes: int, limit_gb: float) -> None:
    """Delete least recently used stores until `for_bytes` more fit below the limit.

    Raises:
        UserError: when they do not fit even then.
    """
    stores = list_stores(folder)
    total = sum(store.bytes for store in stores) + for_bytes
    for store in stores:
        if total <= limit_gb * GB:
            return
        if delete_store(store.path):
            total -= store.bytes
    if total > limit_gb * GB:
        raise UserError(
            f"the decoded images do not fit into dataset.cache_gb={limit_gb:g} ({total / GB:.2f} GB are needed so far, "
            "including stores in use): raise it, or set dataset.cache=memory or off"
        )
