"""Photographs for benchmarks without a folder of real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def make_photos(folder: Path, count: int = 320) -> Path:
    """Generate JPEGs of 500 x 375 px with structure at many scales, in two classes."""
    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / ("a" if index % 2 else "b") / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        layers = [rng.integers(0, 256, (3 * 2**k, 4 * 2**k, 3), dtype=np.uint8) for k in range(1, 7)]
        pictures = [np.asarray(Image.fromarray(layer).resize((500, 375), Image.BICUBIC), dtype=float) for layer in layers]
        Image.fromarray(np.mean(pictures, axis=0).astype(np.uint8)).save(path, quality=90)
    return folder
