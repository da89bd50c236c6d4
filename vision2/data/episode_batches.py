"""Batches that are episodes: the images of one episode, to train on or to adapt a network to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from vision2.basics.place import ALONE, Place
from vision2.data.batches import Batch, Batches
from vision2.data.episodes import Episodes


class EpisodeBatches:
    """Each batch is one episode of a split: its support images, class by class, then its query images, class by class.

    `targets` (way * query,) are the labels of the query images within the episode.
    """

    def __init__(self, batches: Batches, episodes: Episodes, count: int):
        self.batches, self.episodes, self.count = batches, episodes, count
        way, shot, query = episodes.shape
        self.batch_size = way * (shot + query)
        self.num_samples = count * self.batch_size
        self._targets = torch.arange(way, device=batches.device).repeat_interleave(query)

    @property
    def wait_seconds(self) -> float:
        return self.batches.wait_seconds

    def __len__(self) -> int:
        return self.count

    def epoch(self, epoch: int, place: Place = ALONE) -> Iterator[Batch]:
        """The episodes of an epoch, in order; images are augmented as those of `batches`. Processes do not share them."""
        drawn = self.episodes.epoch(epoch, self.count)
        order = np.concatenate([np.concatenate([each.support.ravel(), each.query.ravel()]) for each in drawn])
        parts = [slice(i * self.batch_size, (i + 1) * self.batch_size) for i in range(self.count)]
        for batch in self.batches.in_order(order, parts, epoch):
            yield batch._replace(targets=self._targets)
