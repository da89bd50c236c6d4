"""Small images of many kinds, generated on the spot."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def pixels(seed: int, width: int = 48, height: int = 36) -> np.ndarray:
    """(H, W, 3) uint8: smooth colour patches, different for every seed, alike after recompression."""
    patches = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC))


def encoded(seed: int = 0, kind: str = "JPEG", **size: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(seed, **size)).save(buffer, kind)
    return buffer.getvalue()


def write_images(root: Path, names: list[str]) -> Path:
    """One valid JPEG per name, all different, below `root`."""
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(seed))
    return root


def class_folders(root: Path, **counts: int) -> Path:
    """`root/NAME/0000.jpg`... for each NAME=count."""
    return write_images(root, [f"{name}/{index:04d}.jpg" for name, count in counts.items() for index in range(count)])


def zip_of(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return target
