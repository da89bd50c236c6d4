"""Features on disk, a row for each image, found again by what the image and the network are, not by where they lie.

A store is the folder of one (network, preprocessing, layer, pooling, number format): see `store_key`. It holds parts, each
two arrays of equal length: NAME.rows.npy (M, D) float32 and NAME.ids.npy (M, 16) uint8. A part is whole once its ids are
there, and nobody changes it then: two processes that fill a store at once write two parts.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.atomic_write import replacing

if TYPE_CHECKING:
    import torch

VERSION = 1  # of the layout and of how features are computed; a change makes every store new
ID_BYTES = 16


class FeatureStore:
    """Rows of D numbers by id (16 bytes)."""

    def __init__(self, folder: Path):
        self.folder = folder

    def read(self, ids: Sequence[bytes]) -> tuple[np.ndarray | None, np.ndarray]:
        """(rows (N, D) float32, positions that are missing and hold no meaning); (None, all) when nothing is known."""
        wanted: dict[bytes, list[int]] = {}
        for position, key in enumerate(ids):
            wanted.setdefault(key, []).append(position)
        rows = None
        for known, part in self._parts():
            here = [(row, key) for row, key in enumerate(known) if key in wanted]
            if not here:
                continue
            if rows is None:
                rows = np.empty((len(ids), part.shape[1]), dtype=np.float32)
            positions = [wanted.pop(key) for _, key in here]
            repeats = [len(places) for places in positions]
            rows[np.concatenate(positions)] = part[np.repeat([row for row, _ in here], repeats)]
        return rows, np.array(sorted(p for places in wanted.values() for p in places), dtype=np.int64)

    def add(self, ids: Sequence[bytes], rows: np.ndarray) -> None:
        """Keep `rows` (M, D) under `ids`."""
        name = hashlib.blake2b(b"".join(ids), digest_size=8).hexdigest()
        keys = np.frombuffer(b"".join(ids), dtype=np.uint8).reshape(-1, ID_BYTES)
        for kind, array in (("rows", rows), ("ids", keys)):  # ids last: with them the part counts
            with replacing(self.folder / f"{name}.{kind}.npy") as temporary, temporary.open("wb") as stream:
                np.save(stream, array, allow_pickle=False)

    def _parts(self):
        """(ids, mapped rows) of every whole part; a damaged one counts as absent and is computed again."""
        for file in sorted(self.folder.glob("*.ids.npy")):
            with suppress(OSError, ValueError, EOFError):
                keys = np.load(file, allow_pickle=False)
                rows = np.load(file.with_name(file.name.replace(".ids.", ".rows.")), mmap_mode="r", allow_pickle=False)
                if keys.ndim == 2 and keys.shape == (len(rows), ID_BYTES) and rows.ndim == 2:
                    yield [key.tobytes() for key in keys], rows


def features_folder(root: Path) -> Path:
    """Where features are kept below the cache folder."""
    return root / "features"


def size_of_features(folder: Path) -> tuple[int, int]:
    """How many stores `folder` holds, and their bytes."""
    stores = _stores(folder)
    return len(stores), sum(file.stat().st_size for store in stores for file in store.glob("*.npy"))


def delete_features(folder: Path) -> None:
    """Whoever is reading one goes on with what is open, or computes again what is gone. All else stays."""
    for store in _stores(folder):
        shutil.rmtree(store, ignore_errors=True)
    with suppress(OSError):
        folder.rmdir()  # when nothing else is in it


def _stores(folder: Path) -> set[Path]:
    """Folders named by `store_key` with features in them: someone's own `features` folder is none of ours."""
    return {file.parent for file in folder.glob("*/*.ids.npy") if re.fullmatch("[0-9a-f]{32}", file.parent.name)}


def store_key(**facts: object) -> str:
    """The name of the store for these facts (plain values)."""
    text = json.dumps({"version": VERSION, **facts}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def network_digest(backbone: torch.nn.Module) -> str:
    """SHA-256 of every tensor of a module by name: weights and batch-norm statistics alike."""
    import torch

    digest = hashlib.sha256()
    for name, value in backbone.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def image_ids(images, memory: Path | None) -> list[bytes]:
    """16 bytes for each image of a source: a hash of its pixels, the same for every copy of the image.

    Args:
        memory: a folder in which hashes of a mapped (never changing) store of photographs are remembered.
    """
    mapped = getattr(images, "index", None)
    if memory is None or mapped is None or getattr(images.pixels, "filename", None) is None:
        return [_hash(images.read(index)) for index in range(len(images))]
    file = memory / f"{Path(images.pixels.filename).parent.name}.npy"
    known: dict[int, bytes] = {}
    with suppress(OSError, ValueError, EOFError):
        known = {int(row["offset"]): row["hash"].tobytes() for row in np.load(file, allow_pickle=False)}
    offsets = mapped[:, 0].tolist()
    new = {offset: _hash(images.read(index)) for index, offset in enumerate(offsets) if offset not in known}
    if new:
        known |= new
        table = np.array(sorted(known.items()), dtype=[("offset", np.int64), ("hash", f"V{ID_BYTES}")])
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, table, allow_pickle=False)
    return [known[offset] for offset in offsets]


def view_ids(ids: Sequence[bytes], view: str) -> list[bytes]:
    """Ids of an augmented view of these images."""
    return [hashlib.blake2b(key + view.encode(), digest_size=ID_BYTES).digest() for key in ids]


def _hash(image: np.ndarray) -> bytes:
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=ID_BYTES)
    digest.update(np.ascontiguousarray(image))
    return digest.digest()
