from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_up_images import class_folders, pixels

from vision2.basics.place import Place
from vision2.basics.preprocessing import Preprocessing
from vision2.data.batches import Batches, SharedBatch
from vision2.data.files.decode import BadImage
from vision2.data.files.listing import list_images
from vision2.data.settings import AugmentConfig, DatasetConfig
from vision2.data.store.image_sources import ArrayImages, TensorImages
from vision2.data.store.store import open_store

STRONG = AugmentConfig(color_jitter=0.4, rand_augment=2, erasing=0.5)
LOOK = Preprocessing(image_size_px=24, resize_px=28)


def small_split(count: int = 10, size: int = 32) -> SimpleNamespace:
    images = torch.from_numpy(np.stack([pixels(seed, width=size, height=size) for seed in range(count)]))
    return SimpleNamespace(labels=np.arange(count) % 3, images=TensorImages(images.permute(0, 3, 1, 2)))


def photo_split(count: int = 10) -> SimpleNamespace:
    arrays = [np.array(pixels(seed, width=40 + seed, height=36)) for seed in range(count)]
    return SimpleNamespace(labels=np.arange(count) % 3, images=ArrayImages(arrays))


def batches(split, look=LOOK, **options) -> Batches:
    return Batches(split, look, **{"batch_size": 4, "device": "cpu", "num_classes": 3, "seed": 0, "workers": 0} | options)


def by_index(source: Batches, epoch: int = 1) -> torch.Tensor:
    """All images of an epoch, in the order of the split."""
    shown = list(source.epoch(epoch))
    return torch.cat([batch.images for batch in shown])[torch.cat([batch.indices for batch in shown]).argsort()]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("photos"), cat=5, dog=6)


def stored(photos, tmp_path, cache: str) -> SimpleNamespace:
    files = list_images(photos)
    config = DatasetConfig("folder", cache=cache, cache_dir=str(tmp_path), cache_gb=1.0, max_bad_share=0.0)
    images, *_ = open_store(files, config, store_px=28)
    return SimpleNamespace(labels=np.array([entry.id.startswith("dog") for entry in files], dtype=int), images=images)


@torch.inference_mode()
def test_evaluation_gives_the_same_logits_for_any_worker_count_and_cache(photos, tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Flatten(), torch.nn.LazyLinear(5)).eval()
    found = [
        torch.cat([network(batch.images) for batch in batches(stored(photos, tmp_path, cache), workers=workers).epoch(0)])
        for cache in ("off", "memory", "disk")
        for workers in (0, 1, 3)
    ]
    assert found[0].shape == (11, 5)
    assert all(torch.equal(found[0], other) for other in found)


@pytest.mark.parametrize("make", [small_split, photo_split])
@pytest.mark.parametrize("augment", [None, STRONG, AugmentConfig(crop="pad"), AugmentConfig(crop="none", flip=False)])
def test_images_do_not_depend_on_the_batch_size_or_the_workers(make, augment):
    first = by_index(batches(make(), augment=augment, batch_size=5))
    for options in ({"batch_size": 2}, {"batch_size": 10}, {"workers": 3, "batch_size": 1}):
        assert torch.equal(by_index(batches(make(), augment=augment, **options)), first)


@pytest.mark.parametrize("make", [small_split, photo_split])
def test_order_and_augmentation_depend_on_seed_and_epoch(make):
    def run(**options):
        epoch = options.pop("epoch", 1)
        return [*batches(make(), augment=STRONG, shuffle=True, **options).epoch(epoch)]

    first, again, later, other = run(), run(workers=2), run(epoch=2), run(seed=1)
    assert all(torch.equal(a, b) for one, two in zip(first, again, strict=True) for a, b in zip(one, two, strict=True))
    assert not torch.equal(first[0].indices, later[0].indices)
    assert not torch.equal(first[0].indices, other[0].indices)


def test_an_epoch_shows_every_image_once_with_its_label():
    split = photo_split(10)
    shown = list(batches(split, shuffle=True, augment=AugmentConfig(), workers=2).epoch(3))
    indices = torch.cat([batch.indices for batch in shown])
    assert sorted(indices.tolist()) == list(range(10))
    for batch in shown:
        np.testing.assert_array_equal(split.labels[batch.indices.numpy()], batch.labels.numpy())


def test_a_last_training_batch_of_one_is_dropped_and_an_evaluation_batch_never():
    split = small_split(9)
    training, evaluation = batches(split, shuffle=True, augment=STRONG), batches(split)
    assert [len(batch.labels) for batch in training.epoch(1)] == [4, 4]
    assert [len(batch.labels) for batch in evaluation.epoch(0)] == [4, 4, 1]
    assert (len(training), len(evaluation)) == (2, 3)
    assert len(batches(small_split(10), shuffle=True)) == 3
    assert len(batches(small_split(8), shuffle=True)) == len(batches(small_split(8))) == 2


def test_whole_small_images_are_only_normalised():
    split = small_split()
    look = Preprocessing(32, 32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    torch.testing.assert_close(by_index(batches(split, look)), split.images.images / 255)


def test_small_and_large_images_share_one_evaluation_view():
    split = small_split()
    photos = SimpleNamespace(labels=split.labels, images=ArrayImages([np.array(split.images.read(i)) for i in range(10)]))
    difference = (by_index(batches(split)) - by_index(batches(photos))).abs() * 0.224 * 255
    assert difference.max() < 1.01  # one step of uint8: two roundings of the resize instead of one


def test_small_images_can_be_enlarged_for_a_pretrained_network():
    shown = next(batches(small_split(), Preprocessing(64, 73)).epoch(0))
    assert shown.images.shape == (4, 3, 64, 64)


def test_the_memory_format_is_the_requested_one():
    assert next(batches(small_split()).epoch(0)).images.is_contiguous(memory_format=torch.channels_last)
    assert next(batches(small_split(), channels_last=False).epoch(0)).images.is_contiguous()


def test_mixed_targets_are_shares_and_the_labels_are_unchanged():
    shown = next(batches(small_split(), augment=AugmentConfig(mixup=0.4), shuffle=True).epoch(1))
    assert shown.targets.shape == (4, 3)
    torch.testing.assert_close(shown.targets.sum(1), torch.ones(4))
    assert shown.labels.dtype == torch.int64
    assert torch.equal(next(batches(small_split()).epoch(0)).targets, torch.tensor([0, 1, 2, 0]))


def test_a_sample_drawn_twice_by_the_balanced_sampler_looks_different_each_time():
    split = small_split(12)
    split.labels = np.array([0] * 11 + [1])
    source = batches(split, augment=AugmentConfig(), shuffle=True, sampler="balanced", batch_size=12)
    shown = next(source.epoch(1))
    rare = shown.images[shown.indices == 11]
    assert len(rare) >= 3
    assert len({image.numpy().tobytes() for image in rare}) == len(rare)


def test_a_selection_of_small_images_is_batched_by_its_own_positions():
    whole, part = small_split(), small_split()
    part.images, part.labels = part.images.select([7, 2]), part.labels[[7, 2]]
    assert torch.equal(by_index(batches(part)), by_index(batches(whole))[[7, 2]])


class Slow(ArrayImages):
    """Takes ten milliseconds per image and counts the reads."""

    def __init__(self, arrays):
        super().__init__(arrays)
        self.reads = 0

    def read(self, index: int) -> np.ndarray:
        self.reads += 1
        time.sleep(0.01)
        return super().read(index)


def slow_split(count: int) -> SimpleNamespace:
    return SimpleNamespace(labels=np.zeros(count, dtype=int), images=Slow(photo_split(count).images.arrays))


def test_the_time_waited_for_data_is_measured():
    source = batches(slow_split(8))
    for _ in range(2):  # the count restarts each epoch
        start = time.perf_counter()
        for _ in source.epoch(0):
            time.sleep(0.03)  # a training step, which does not count as waiting
        assert 0.08 <= source.wait_seconds <= time.perf_counter() - start - 2 * 0.03


def test_only_a_few_batches_are_prepared_ahead():
    split = slow_split(80)
    running = batches(split, workers=2).epoch(0)
    next(running)
    time.sleep(0.4)
    assert split.images.reads <= 4 * (1 + 2 + 2)
    running.close()


def test_an_abandoned_epoch_leaves_no_thread_behind():
    running = batches(slow_split(80), workers=2).epoch(0)
    next(running)
    running.close()
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("batches") for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(thread.name.startswith("batches") for thread in threading.enumerate())


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_read_stops_the_epoch(workers):
    split = photo_split()
    split.images.arrays[5] = None
    with pytest.raises(BadImage):
        list(batches(split, workers=workers).epoch(0))


@pytest.mark.parametrize("mixing", [{}, {"mixup": 0.4}, {"cutmix": 1.0}], ids=str)
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("split", [small_split, photo_split])
def test_the_parts_of_several_processes_are_the_batches_of_one(split, size, mixing):
    """Ten images in batches of eight: the last two are too few to be divided, so that each process has both."""
    source = batches(split(), batch_size=8, shuffle=True, augment=AugmentConfig(crop="random_resized", flip=True, **mixing))
    whole, last = source.epoch(3)
    parts = [list(source.epoch(3, Place(rank, size))) for rank in range(size)]
    for values, expected in zip(zip(*(part[0] for part in parts), strict=True), whole, strict=True):
        assert torch.equal(torch.cat(values), expected)
    for part in parts:
        assert not isinstance(part[0], SharedBatch) and isinstance(part[1], SharedBatch)
        assert all(torch.equal(value, expected) for value, expected in zip(part[1], last, strict=True))


def test_evaluation_batches_are_dealt_whole_to_the_processes():
    source = batches(small_split(), batch_size=3)
    whole = list(source.epoch(0))
    for rank in (0, 1):
        own = list(source.epoch(0, Place(rank, 2)))
        assert len(own) == 2
        assert all(torch.equal(batch.images, other.images) for batch, other in zip(own, whole[rank::2], strict=True))
