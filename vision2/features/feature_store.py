"""Features on disk, one row per image, found by the contents of image and network, not by their file names.

Each combination of network, preprocessing, layer, pooling and number format has its own SQLite file (see `store_key`), a
table from the id of an image (16 bytes) to its row (D float32). SQLite makes each insertion atomic, even if the process is
killed, and lets several processes write to one store at the same time.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.atomic_write import replacing
from vision2.basics.errors import UserError
from vision2.data.files.locations import cache_root

if TYPE_CHECKING:
    import torch

    from vision2.data.store.image_sources import ImageSource

VERSION = 2  # of the layout and of how features are computed; increasing it invalidates every store
ID_BYTES = 16
IDS_PER_QUERY = 500  # older builds of SQLite accept at most 999 variables
WAIT_S = 60  # for a lock held by another process
NAME = "[0-9a-f]{32}"


class FeatureStore:
    """Rows of D numbers by id (16 bytes)."""

    def __init__(self, file: Path):
        self.file = file

    def read(self, ids: Sequence[bytes]) -> tuple[np.ndarray | None, np.ndarray]:
        """Return (rows (N, D) float32, positions of missing rows, left uninitialised); (None, all) when no id is stored."""
        known: dict[bytes, bytes] = {}
        with suppress(sqlite3.DatabaseError):  # a damaged store counts as empty and is replaced when rows are added
            if self.file.is_file():
                known = self._look_up(list(dict.fromkeys(ids)))
        missing = np.array([position for position, key in enumerate(ids) if key not in known], dtype=np.int64)
        if not known:
            return None, missing
        rows = np.empty((len(ids), len(next(iter(known.values()))) // 4), dtype=np.float32)
        for position, key in enumerate(ids):
            if key in known:
                rows[position] = np.frombuffer(known[key], dtype=np.float32)
        return rows, missing

    def _look_up(self, ids: list[bytes]) -> dict[bytes, bytes]:
        known: dict[bytes, bytes] = {}
        with closing(sqlite3.connect(self.file, timeout=WAIT_S)) as database:
            for start in range(0, len(ids), IDS_PER_QUERY):
                part = ids[start : start + IDS_PER_QUERY]
                query = f"SELECT id, row FROM features WHERE id IN ({','.join('?' * len(part))})"
                known |= dict(database.execute(query, part))
        return known

    def add(self, ids: Sequence[bytes], rows: np.ndarray) -> None:
        """Store `rows` (M, D) under `ids`; an id that is already stored, or given twice, keeps its first row.

        Raises:
            UserError: when the store cannot be written.
        """
        values = [(key, row.tobytes()) for key, row in zip(ids, np.ascontiguousarray(rows, np.float32), strict=True)]
        with _as_user_error(self.file):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._insert(values)
            except sqlite3.OperationalError:  # locked, full or read-only: the store itself is intact
                raise
            except sqlite3.DatabaseError:  # damaged: its features can be computed again
                self.file.unlink(missing_ok=True)
                self._insert(values)

    def _insert(self, values: list[tuple[bytes, bytes]]) -> None:
        with closing(sqlite3.connect(self.file, timeout=WAIT_S)) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS features (id BLOB PRIMARY KEY, row BLOB) WITHOUT ROWID")
            database.executemany("INSERT OR IGNORE INTO features VALUES (?, ?)", values)


@contextmanager
def _as_user_error(file: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise UserError(
            f"cannot store features in {file}: {error}; free some space, choose another place with dataset.cache_dir=FOLDER,"
            " or store none with dataset.cache=memory"
        ) from error


def features_folder(cache_dir: str | None) -> Path:
    return cache_root(cache_dir) / "features"


def size_of_features(folder: Path) -> tuple[int, int]:
    """Number of stores in `folder`, and the total size in bytes of them and of the exported networks beside them."""
    files = _stores(folder)
    return len(files), sum(file.stat().st_size for file in [*files, *_exports(folder)])


def delete_features(folder: Path) -> None:
    """Delete stores and exported networks, nothing else; a process that is using one computes again what it no longer finds."""
    for store in [*_stores(folder), *_exports(folder)]:
        store.unlink(missing_ok=True)
    for old in {file.parent for file in folder.glob("*/*.ids.npy")}:  # stores of version 1
        if re.fullmatch(NAME, old.name):
            shutil.rmtree(old, ignore_errors=True)
    with suppress(OSError):
        folder.rmdir()  # only if it is empty


def _stores(folder: Path) -> list[Path]:
    """Files named by `store_key`; any other file in the folder was put there by someone else."""
    return [file for file in folder.glob("*.sqlite") if re.fullmatch(NAME, file.stem)]


def _exports(folder: Path) -> list[Path]:
    """Networks that `features.engine` exported."""
    return [file for file in folder.glob("*.onnx") if re.fullmatch(NAME, file.stem)]


def store_key(**facts: object) -> str:
    """The name of the store that belongs to these facts (plain values)."""
    text = json.dumps({"version": VERSION, **facts}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def network_digest(backbone: torch.nn.Module) -> str:
    """SHA-256 of all tensors of a module and their names, including batch-norm statistics."""
    import torch

    digest = hashlib.sha256()
    for name, value in backbone.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def image_ids(images: ImageSource, memory: Path | None) -> list[bytes]:
    """A 16-byte hash of the pixels of each image of a source, equal for all copies of an image.

    Args:
        memory: a folder that caches the hashes of a memory-mapped (immutable) store.
    """
    if memory is None or images.store is None:
        return [_hash(images.read(index)) for index in range(len(images))]
    file, offsets = memory / f"{images.store.name}.npy", images.offsets()
    known = _known_ids(file)
    unknown = np.flatnonzero(~np.isin(offsets, known["offset"]))
    if len(unknown):
        new = np.array([(offsets[index], _hash(images.read(index))) for index in unknown.tolist()], dtype=known.dtype)
        known = np.concatenate([known, new])
        known = known[np.unique(known["offset"], return_index=True)[1]]
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, known, allow_pickle=False)
    return known["hash"][np.searchsorted(known["offset"], offsets)].tolist()


def _known_ids(file: Path) -> np.ndarray:
    """The hashes in `file`, sorted by the offset of their image in the store; none if the file is absent or damaged."""
    kind = np.dtype([("offset", np.int64), ("hash", f"V{ID_BYTES}")])
    with suppress(OSError, ValueError, EOFError):
        table = np.load(file, allow_pickle=False)
        if table.dtype == kind and table.ndim == 1 and (np.diff(table["offset"]) > 0).all():
            return table
    return np.empty(0, kind)


def view_ids(ids: Sequence[bytes], view: str) -> list[bytes]:
    """The ids under which an augmented view of these images is stored."""
    return [hashlib.blake2b(key + view.encode(), digest_size=ID_BYTES).digest() for key in ids]


def _hash(image: np.ndarray) -> bytes:
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=ID_BYTES)
    digest.update(np.ascontiguousarray(image))
    return digest.digest()
