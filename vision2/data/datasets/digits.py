"""scikit-learn's 1,797 handwritten digits (8 x 8, 17 grey levels): real images that need no download."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision2.data.collection import Collection

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig

SIZE_PX = 32  # enlarged once from 8 px, so that networks which halve the image five times still run


def find(config: DatasetConfig) -> Collection:
    """The digits in memory as RGB images, 0..255, without predefined splits.

    Source: the test part of Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI 1998.
    """
    import torch

    from vision2.data.store.image_sources import TensorImages

    grey, labels = read_digits()
    small = torch.from_numpy(grey.reshape(-1, 1, 8, 8)).float() * (255 / 16)
    large = torch.nn.functional.interpolate(small, (SIZE_PX, SIZE_PX), mode="bilinear", align_corners=False)
    images = large.round().to(torch.uint8).repeat(1, 3, 1, 1)
    return Collection(
        classes=tuple("0123456789"),
        labels=labels.astype(np.int64),
        ids=tuple(f"digits/{index:04d}" for index in range(len(labels))),
        parts=np.full(len(labels), "", dtype="<U5"),
        images=TensorImages(images),
        notes={"layout": "embedded"},
        content=f"sklearn-digits-{SIZE_PX}",
    )


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """(grey levels (N, 64) 0..16, labels (N,)), from scikit-learn's file: importing the library takes a second."""
    folder = Path(find_spec("sklearn").origin).parent
    with gzip.open(folder / "datasets" / "data" / "digits.csv.gz", "rt") as stream:
        table = np.array([line.split(",") for line in stream], dtype=np.float64)
    return table[:, :-1], table[:, -1]
