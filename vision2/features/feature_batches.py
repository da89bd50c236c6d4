"""Batches of stored features instead of images, in the same order and for the same training loop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from vision2.basics.place import ALONE, Place
from vision2.basics.randomness import numpy_stream
from vision2.data.batches import Batch, SharedBatch
from vision2.data.sampling import epoch_order
from vision2.features.classifiers import Labelled


class FeatureBatches:
    """Like `vision2.data.batches.Batches`, also in dropping a last training batch of one; `images` holds features (B, D).

    Args:
        features: (V, N, D), V views of each image; an epoch draws one view at random each time it uses an image.
        labels: (N,).
    """

    def __init__(
        self,
        features: torch.Tensor,
        labels: np.ndarray,
        *,
        batch_size: int,
        device: torch.device,
        seed: int,
        shuffle: bool = False,
        sampler: str = "shuffle",
    ):
        self.features = features.to(device)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.batch_size, self.seed, self.shuffle, self.sampler = batch_size, seed, shuffle, sampler
        self.num_samples, self.wait_seconds = len(self.labels), 0.0
        self._labels = torch.from_numpy(self.labels).to(device)

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + (rest > 1 if self.shuffle else rest > 0)

    def epoch(self, epoch: int, place: Place = ALONE) -> Iterator[Batch]:
        """One pass; one of several processes gets what it would get from `Batches`."""
        order = epoch_order(self.labels, seed=self.seed, epoch=epoch, shuffle=self.shuffle, sampler=self.sampler)
        views = np.zeros(len(order), dtype=np.int64)
        if len(self.features) > 1 and self.shuffle:
            views = numpy_stream(self.seed, "augment", epoch).integers(len(self.features), size=len(order))
        whole = [range(len(order))[i * self.batch_size : (i + 1) * self.batch_size] for i in range(len(self))]
        for batch in whole if self.shuffle else whole[place.rank :: place.size]:
            own = place.part_of(batch) if self.shuffle else batch
            part = slice(own.start, own.stop)
            indices = torch.from_numpy(order[part]).to(self.features.device)
            labels = self._labels[indices]
            rows = self.features[torch.from_numpy(views[part]).to(indices.device), indices]
            kind = SharedBatch if self.shuffle and place.shares(batch) else Batch
            yield kind(rows, labels, labels, indices)

    def all(self) -> Labelled:
        """Every view of every image at once: (V * N, D) features and their (V * N,) labels."""
        views, images, width = self.features.shape
        return Labelled(self.features.reshape(views * images, width), self._labels.repeat(views))
