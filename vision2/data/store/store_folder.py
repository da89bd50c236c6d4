"""The folder that holds all stores: which there are, how large, which may go.

A store is a folder named by its key: `pixels.bin` (all images one behind the other), `index.npy` (N, 3) of offset,
height, width (0 for an image that cannot be decoded) and `meta.json`. Whoever reads a store holds KEY.lock shared;
whoever builds or deletes one holds it alone. A store is built as `.KEY.PID.building` and renamed when it is whole.
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.data.files.locations import cache_root
from vision2.data.store.locks import FileLock

GB = 10**9


@dataclass(frozen=True)
class Store:
    path: Path
    bytes: int
    images: int
    store_px: int
    source: str  # where the files lie
    used: float  # seconds since 1970


def stores_folder(cache_dir: str | None) -> Path:
    return cache_root(cache_dir) / "stores"


def lock_path(folder: Path, key: str) -> Path:
    return folder / f"{key}.lock"


def read_meta(store: Path, version: int) -> dict | None:
    """What a whole store of this version says of itself; None for anything else."""
    try:
        meta = json.loads((store / "meta.json").read_text(encoding="utf-8"))
        whole = meta["version"] == version and (store / "pixels.bin").stat().st_size == meta["bytes"]
        return meta if whole and (store / "index.npy").exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mark_used(store: Path) -> None:
    with suppress(OSError):  # a store of someone else may be read but not touched
        (store / "meta.json").touch()


def list_stores(folder: Path) -> list[Store]:
    """Least recently used first; what killed builders left is removed on the way."""
    remove_leftovers(folder)
    found = []
    for meta_file in folder.glob("[!.]*/meta.json"):
        try:
            meta = json.loads(meta_file.read_text(encoding="utf-8"))
            size = sum(file.stat().st_size for file in meta_file.parent.iterdir())
            used = meta_file.stat().st_mtime
            found.append(Store(meta_file.parent, size, meta["images"], meta["store_px"], meta["source"], used))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # deleted by another process meanwhile, or written by a version with other fields
    return sorted(found, key=lambda store: store.used)


def remove_leftovers(folder: Path) -> None:
    """Half-built stores whose builder is gone: its lock is free."""
    for leftover in folder.glob(".*.building"):
        key = leftover.name.split(".")[1]
        lock = FileLock.acquire(lock_path(folder, key), shared=False, wait=False)
        if lock is not None:
            shutil.rmtree(leftover, ignore_errors=True)
            lock.release()


def delete_store(store: Path) -> bool:
    """False when it is in use."""
    lock = FileLock.acquire(lock_path(store.parent, store.name), shared=False, wait=False)
    if lock is None:
        return False
    # Renamed first, so that a kill in the middle leaves a leftover and not half a store.
    dying = store.with_name(f".{store.name}.{int(time.time())}.building")
    with suppress(FileNotFoundError):
        store.rename(dying)
    shutil.rmtree(dying, ignore_errors=True)
    lock.release(delete=True)
    return True


def make_room(folder: Path, *, for_bytes: int, limit_gb: float) -> None:
    """Delete least recently used stores until `for_bytes` more fit below the limit.

    Raises:
        UserError: when they do not fit even so.
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
            "stores in use included): raise it, or set dataset.cache=memory or off"
        )
