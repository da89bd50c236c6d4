"""A batch is one episode: support images class by class, then queries, the same whatever reads them."""

from __future__ import annotations

import numpy as np
import torch

from vision2.basics.preprocessing import Preprocessing
from vision2.data.batches import Batches
from vision2.data.dataset import Split
from vision2.data.episode_batches import EpisodeBatches
from vision2.data.episodes import Episodes, Shape
from vision2.data.store.image_sources import ArrayImages, TensorImages

PREPROCESSING = Preprocessing(image_size_px=8, resize_px=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
LABELS = np.tile(np.arange(4), 6)
SHAPE = Shape(way=3, shot=2, query=1)
PIXELS = (np.arange(24)[:, None, None, None] * np.ones((8, 8, 3))).astype(np.uint8)  # image i has value i


def episode_batches(images, **settings) -> EpisodeBatches:
    split = Split("train", LABELS, tuple(map(str, range(24))), images)
    batches = Batches(split, PREPROCESSING, batch_size=4, device="cpu", num_classes=4, seed=0, **settings)
    return EpisodeBatches(batches, Episodes(LABELS, SHAPE, seed=0), count=3)


def test_each_batch_holds_the_images_of_its_episode_in_order():
    batches = episode_batches(TensorImages(torch.from_numpy(PIXELS).permute(0, 3, 1, 2)))
    drawn = list(Episodes(LABELS, SHAPE, seed=0).epoch(5, 3))
    found = list(batches.epoch(5))
    assert len(found) == len(batches) == 3
    assert batches.num_samples == 3 * batches.batch_size == 27
    for batch, episode in zip(found, drawn, strict=True):
        expected = np.concatenate([episode.support.ravel(), episode.query.ravel()])
        assert (batch.images[:, 0, 0, 0] * 255).round().tolist() == expected.tolist()
        assert batch.labels[:6].tolist() == np.repeat(episode.classes, 2).tolist()
        assert batch.targets.tolist() == [0, 1, 2]


def test_photographs_read_by_threads_give_the_same_episodes():
    in_memory = episode_batches(TensorImages(torch.from_numpy(PIXELS).permute(0, 3, 1, 2)))
    for workers in (0, 2):
        read = episode_batches(ArrayImages(list(PIXELS)), workers=workers)
        for one, other in zip(in_memory.epoch(1), read.epoch(1), strict=True):
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.indices, other.indices)
