"""Where the pixels of a split lie. Every source gives the same thing: uint8 RGB images by position."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from vision2.data.files.decode import BadImage

if TYPE_CHECKING:
    import torch

    from vision2.data.files.listing import FileEntry


class ImageSource(Protocol):
    """Images by position. `fixed_size_px` is the side when all are squares of one size and lie in memory, else None."""

    fixed_size_px: int | None

    def __len__(self) -> int: ...

    def select(self, indices: Sequence[int] | np.ndarray) -> ImageSource:
        """The images at these positions, in this order, sharing the pixels with this source."""
        ...

    def read(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8, not to be written to."""
        ...


class ResidentImages:
    """Small images of one size as one uint8 tensor (N, 3, S, S), kept channels-last so that a batch needs no transpose."""

    def __init__(self, images: torch.Tensor, rows: np.ndarray | None = None):
        import torch

        if (
            images.dtype != torch.uint8
            or images.ndim != 4
            or images.shape[1] != 3
            or images.shape[2] != images.shape[3]
        ):
            raise ValueError(f"expected uint8 (N, 3, S, S), got {images.dtype} {tuple(images.shape)}")
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.rows = np.arange(len(images)) if rows is None else rows
        self.fixed_size_px = images.shape[-1]

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, indices: Sequence[int] | np.ndarray) -> ResidentImages:
        return ResidentImages(self.images, self.rows[np.asarray(indices, dtype=np.int64)])

    def read(self, index: int) -> np.ndarray:
        return self.images[int(self.rows[index])].permute(1, 2, 0).numpy()

    def pixels(self, device: str | torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """(M, S, S, 3) uint8 and the (N,) rows of it that are this source's images, both on `device`.

        On the CPU the pixels are shared, elsewhere only the rows of this source are copied.
        """
        import torch

        rows = torch.from_numpy(np.ascontiguousarray(self.rows))
        pixels = self.images.permute(0, 2, 3, 1)
        if torch.device(device).type == "cpu":
            return pixels, rows
        return pixels[rows].to(device), torch.arange(len(rows), device=device)


class MappedImages:
    """Photographs in a store on disk, mapped: the system keeps in memory what is being read, and shares it.

    `index` (N, 3): offset into `pixels`, height, width. `lock` says that the store is in use, for as long as this lives.
    """

    fixed_size_px = None

    def __init__(self, pixels: np.ndarray, index: np.ndarray, lock: object):
        self.pixels, self.index, self.lock = pixels, index, lock

    def __len__(self) -> int:
        return len(self.index)

    def select(self, indices: Sequence[int] | np.ndarray) -> MappedImages:
        return MappedImages(self.pixels, self.index[np.asarray(indices, dtype=np.int64)], self.lock)

    def read(self, index: int) -> np.ndarray:
        offset, height, width = self.index[index].tolist()
        if height == 0:
            raise BadImage("this image could not be decoded")
        return self.pixels[offset : offset + height * width * 3].reshape(height, width, 3)


class MemoryImages:
    """Photographs decoded into this process's memory; None for one that cannot be decoded."""

    fixed_size_px = None

    def __init__(self, arrays: Sequence[np.ndarray | None]):
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays)

    def select(self, indices: Sequence[int] | np.ndarray) -> MemoryImages:
        return MemoryImages([self.arrays[int(index)] for index in indices])

    def read(self, index: int) -> np.ndarray:
        array = self.arrays[index]
        if array is None:
            raise BadImage("this image could not be decoded")
        return array


class DecodedImages:
    """Photographs decoded anew at each reading, by `decode(entry)`."""

    fixed_size_px = None

    def __init__(self, files: Sequence[FileEntry], decode: Callable[[FileEntry], np.ndarray]):
        self.files, self.decode = files, decode

    def __len__(self) -> int:
        return len(self.files)

    def select(self, indices: Sequence[int] | np.ndarray) -> DecodedImages:
        return DecodedImages([self.files[int(index)] for index in indices], self.decode)

    def read(self, index: int) -> np.ndarray:
        return self.decode(self.files[index])
