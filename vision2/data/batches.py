"""Batches of a split, ready for the network: the only source of images for training and evaluation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from vision2.basics.place import ALONE, Place
from vision2.basics.threads import map_ahead, usable_cpus
from vision2.data.augment.view import View
from vision2.data.sampling import draw_numbers, epoch_order
from vision2.data.store.image_sources import TensorImages

if TYPE_CHECKING:
    from vision2.basics.preprocessing import Preprocessing
    from vision2.data.dataset import Split
    from vision2.data.settings import AugmentConfig

BATCHES_AHEAD = 2  # ready in addition to those being prepared; more would only use memory


class Batch(NamedTuple):
    images: torch.Tensor  # (B, 3, S, S) float32, normalised, on the device
    targets: torch.Tensor  # (B,) int64, or (B, K) float32 shares with mixup or cutmix
    labels: torch.Tensor  # (B,) int64, before any mixing
    indices: torch.Tensor  # (B,) int64 positions in the split


class SharedBatch(Batch):
    """A batch that every process of the run has, because it is too small to be divided; only one of them may count it."""

    __slots__ = ()


class Batches:
    """The batches of one split. Order and augmentation depend only on seed, epoch and sample; workers change only the speed.

    Args:
        augment: None for the evaluation view.
        shuffle: for training; a last batch of one sample, which batch normalisation cannot handle, is then dropped.
        sampler: shuffle | balanced (every class equally likely, with replacement).
        workers: threads that read and crop photographs; 0 uses the calling thread, None calls `default_workers`.
        sample_numbers: (N,) numbers that determine each image's augmentation; None for its position in the split.
    """

    def __init__(
        self,
        split: Split,
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        device: str | torch.device,
        num_classes: int,
        seed: int,
        augment: AugmentConfig | None = None,
        shuffle: bool = False,
        sampler: str = "shuffle",
        workers: int | None = None,
        channels_last: bool = True,
        sample_numbers: np.ndarray | None = None,
    ):
        self.view = View(preprocessing, augment, seed, num_classes)
        self.labels = np.asarray(split.labels, dtype=np.int64)
        self.batch_size, self.shuffle, self.sampler, self.seed = batch_size, shuffle, sampler, seed
        self.device, self.channels_last = torch.device(device), channels_last
        self.num_samples, self.sample_numbers = len(self.labels), sample_numbers
        self.wait_seconds = 0.0
        self.workers, self.images = default_workers(self.device) if workers is None else workers, split.images
        self._in_memory = split.images.pixels(self.device) if isinstance(split.images, TensorImages) else None

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + (rest > 1 if self.shuffle else rest > 0)

    def epoch(self, epoch: int, place: Place = ALONE) -> Iterator[Batch]:
        """One pass over the split; `wait_seconds` counts the time the caller waits for its batches.

        One of several processes gets a part of each training batch, or every so many whole batches for evaluation. Together
        they have the same images as one process, augmented and mixed in the same way.
        """
        order = epoch_order(self.labels, seed=self.seed, epoch=epoch, shuffle=self.shuffle, sampler=self.sampler)
        parts = [slice(i * self.batch_size, (i + 1) * self.batch_size) for i in range(len(self))]
        if place.size == 1:
            return self.in_order(order, parts, epoch)
        if not self.shuffle:
            return self.in_order(order, parts[place.rank :: place.size], epoch)
        return self._parts(order, [range(len(order))[part] for part in parts], epoch, place)

    def _parts(self, order: np.ndarray, batches: list[range], epoch: int, place: Place) -> Iterator[Batch]:
        """The part of this process of each of `batches`, positions in `order`."""
        parts, mixes = [place.part_of(batch) for batch in batches], self.view.mixes
        # an image is mixed with the next one of the whole batch, so that the last one of a part needs one more
        follows = [mixes and len(part) < len(batch) for part, batch in zip(parts, batches, strict=True)]
        chosen = [
            np.array([*part, batch[(part[-1] + 1 - batch[0]) % len(batch)]] if more else part)
            for part, batch, more in zip(parts, batches, follows, strict=True)
        ]
        for made, batch, more in zip(self.in_order(order, chosen, epoch), batches, follows, strict=True):
            kept = tuple(values[:-1] for values in made) if more else made
            yield (SharedBatch if place.shares(batch) else Batch)(*kept)

    def in_order(self, order: np.ndarray, parts: Sequence[slice | np.ndarray], epoch: int) -> Iterator[Batch]:
        """A batch for each of `parts` of `order`, positions in the split; a position may occur several times."""
        self.wait_seconds = 0.0
        samples = draw_numbers(order) if self.sample_numbers is None else self.sample_numbers[order]
        read = self._prefetched if self._in_memory is None else self._gathered
        start = time.perf_counter()
        for part, images in zip(parts, read(order, samples, parts, epoch), strict=True):
            batch = self._finish(images, order[part], samples[part], epoch)
            self.wait_seconds += time.perf_counter() - start
            yield batch
            start = time.perf_counter()

    def _finish(self, images: torch.Tensor, order: np.ndarray, samples: np.ndarray, epoch: int) -> Batch:
        labels = torch.from_numpy(self.labels[order]).to(self.device)
        images = images.to(self.device, non_blocking=True)
        images, targets = self.view.finish(images, labels, epoch, samples)
        if not self.channels_last:
            images = images.contiguous()
        return Batch(images, targets, labels, torch.from_numpy(order).to(self.device))

    def _gathered(self, order: np.ndarray, samples: np.ndarray, parts: Sequence, epoch: int) -> Iterator[torch.Tensor]:
        """Small images: gathered and cropped on the device, a whole batch in a few calls."""
        pixels, rows = self._in_memory
        for part in parts:
            chosen = rows[torch.from_numpy(order[part]).to(rows.device)]
            yield self.view.crop_together(pixels.index_select(0, chosen), epoch, samples[part])

    def _prefetched(self, order: np.ndarray, samples: np.ndarray, parts: Sequence, epoch: int) -> Iterator[torch.Tensor]:
        """Photographs: whole batches are read and cropped by threads, ahead of the training steps and in order."""

        def prepare(part: slice | np.ndarray) -> torch.Tensor:
            images = [self.images.read(int(index)) for index in order[part]]
            batch = self.view.crop_one_by_one(images, epoch, samples[part])
            return batch.pin_memory() if self.device.type == "cuda" else batch

        if self.workers == 0:
            return map(prepare, parts)
        return map_ahead(prepare, parts, threads=self.workers, ahead=self.workers + BATCHES_AHEAD, name="batches")


def default_workers(device: torch.device) -> int:
    """For a GPU, all cores but one, up to eight; on a CPU at most two, because the training step needs the cores."""
    cores = usable_cpus()
    return max(1, min(2, cores // 2)) if device.type == "cpu" else max(1, min(8, cores - 1))
