"""Sources of a split's pixels. Every source returns the same: uint8 RGB images by position."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vision2.data.files.decode import BadImage, decode_entry

if TYPE_CHECKING:
    from typing import Self

    import torch

    from vision2.data.files.listing import FileEntry


class OpenStore(NamedTuple):
    """A store on disk that is in use as long as `lock` exists; `digest` is that of all its images, if it is known."""

    name: str
    lock: object
    digest: str | None = None


class ImageSource:
    """N images by position: position i shows row `rows[i]` of the pixels, which all selections share.

    `fixed_size_px` is the side in px if all images are squares of one size in one tensor, else None. `store` is the store
    whose pixels are mapped into memory, where `offsets` finds them: the system caches what is read, for all processes.
    """

    fixed_size_px: int | None = None
    store: OpenStore | None = None

    def __init__(self, rows: np.ndarray):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, indices: Sequence[int] | np.ndarray) -> Self:
        """The images at these positions, in this order, sharing the pixels with this source."""
        chosen = copy.copy(self)
        chosen.rows = self.rows[np.asarray(indices, dtype=np.int64)]
        return chosen

    def read(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8, to be treated as read-only. Raises BadImage for an image that cannot be decoded."""
        raise NotImplementedError

    def offsets(self) -> np.ndarray:
        """(N,) int64 offset of each image in the pixels of the store."""
        raise NotImplementedError


class TensorImages(ImageSource):
    """Small images of one size as one uint8 tensor (N, 3, S, S), kept channels-last so that a batch needs no transpose."""

    def __init__(self, images: torch.Tensor, rows: np.ndarray | None = None, store: OpenStore | None = None):
        import torch

        super().__init__(np.arange(len(images)) if rows is None else rows)
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1:] != (3, images.shape[3], images.shape[3]):
            raise ValueError(f"expected uint8 (N, 3, S, S), got {images.dtype} {tuple(images.shape)}")
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.arrays = self.images.permute(0, 2, 3, 1).numpy()  # (N, S, S, 3), the same memory: faster for single images
        self.fixed_size_px, self.store = images.shape[-1], store

    def read(self, index: int) -> np.ndarray:
        return self.arrays[self.rows[index]]

    def offsets(self) -> np.ndarray:
        return self.rows * self.arrays[0].nbytes

    def digest(self) -> str:
        """A hash of the pixels and of the rows of this source's images in them."""
        if self.store and self.store.digest and np.array_equal(self.rows, np.arange(len(self.arrays))):
            return self.store.digest
        digest = hashlib.blake2b(self.arrays, digest_size=16)
        digest.update(np.ascontiguousarray(self.rows))
        return digest.hexdigest()

    def pixels(self, device: str | torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels (M, S, S, 3) uint8 and the rows (N,) of this source's images in them, both on `device`.

        On the CPU the pixels are shared; elsewhere only the rows of this source are copied.
        """
        import torch

        rows = torch.from_numpy(np.ascontiguousarray(self.rows))
        pixels = self.images.permute(0, 2, 3, 1)
        if torch.device(device).type == "cpu":
            return pixels, rows
        return pixels[rows].to(device), torch.arange(len(rows), device=device)


class MappedImages(ImageSource):
    """Photographs in a store. `places` (M, 3): offset into `pixels`, height, width."""

    def __init__(self, pixels: np.ndarray, places: np.ndarray, store: OpenStore):
        super().__init__(np.arange(len(places)))
        self.pixels, self.places, self.store = pixels, places, store

    def read(self, index: int) -> np.ndarray:
        offset, height, width = self.places[self.rows[index]].tolist()
        if height == 0:
            raise BadImage("this image could not be decoded")
        return self.pixels[offset : offset + height * width * 3].reshape(height, width, 3)

    def offsets(self) -> np.ndarray:
        return self.places[self.rows, 0]


class ArrayImages(ImageSource):
    """Photographs decoded into this process's memory; None for one that cannot be decoded."""

    def __init__(self, arrays: Sequence[np.ndarray | None]):
        super().__init__(np.arange(len(arrays)))
        self.arrays = arrays

    def read(self, index: int) -> np.ndarray:
        array = self.arrays[self.rows[index]]
        if array is None:
            raise BadImage("this image could not be decoded")
        return array


class FileImages(ImageSource):
    """Photographs that are decoded again at every read."""

    def __init__(self, files: Sequence[FileEntry], store_px: int):
        super().__init__(np.arange(len(files)))
        self.files, self.store_px = files, store_px

    def read(self, index: int) -> np.ndarray:
        return decode_entry(self.files[self.rows[index]], self.store_px)
