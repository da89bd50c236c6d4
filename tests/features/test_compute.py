"""The feature store: what it finds, what it must not find, and concurrent writers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from made_up_images import encoded

from vision2.basics.errors import UserError
from vision2.data.batches import Batches
from vision2.data.dataset import Split
from vision2.data.files.listing import list_images
from vision2.data.settings import AugmentConfig, DatasetConfig
from vision2.data.store.image_sources import ArrayImages, TensorImages
from vision2.data.store.store import open_store
from vision2.features import feature_store
from vision2.features.compute import FeatureMaker
from vision2.features.feature_store import FeatureStore, image_ids
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig

SIZE = 16
MODEL = ModelConfig("resnet20")


def split(count=12, seed=0):
    pixels = torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
    labels = np.arange(count, dtype=np.int64) % 2
    return Split("train", labels, tuple(map(str, range(count))), TensorImages(pixels))


def maker(folder, *, seed=0, layers=("last",), size=SIZE, pooling="pooled"):
    network = build_model(MODEL, 2, seed=seed).eval()
    network.preprocessing = network.preprocessing.at_size(size)
    return FeatureMaker(network, MODEL, layers=list(layers), pooling=pooling, folder=folder)


def made(subject, images, **settings):
    return subject.features(images, precision="float32", **settings)["last"]


@torch.no_grad()
def test_features_from_the_store_equal_newly_computed_ones(tmp_path):
    made(maker(tmp_path), split())
    subject = maker(tmp_path)
    stored = made(subject, split())
    assert subject.images_computed == 0
    batches = Batches(split(), subject.network.preprocessing, batch_size=12, device="cpu", num_classes=2, seed=0, augment=None)
    expected = subject.network.features(next(iter(batches.epoch(0))).images)
    assert torch.allclose(stored[0], expected, atol=1e-5)


def test_a_subset_another_order_and_another_name_find_the_same_rows(tmp_path):
    whole = made(maker(tmp_path), split())
    rows = np.array([7, 2, 5])
    part = split()
    part = Split("val", part.labels[rows], ("x", "y", "z"), part.images.select(rows))
    subject = maker(tmp_path)
    assert torch.equal(made(subject, part)[0], whole[0, rows])
    assert subject.images_computed == 0


def test_only_images_that_are_missing_are_computed(tmp_path):
    half = split()
    half = Split("train", half.labels[:6], half.ids[:6], half.images.select(range(6)))
    made(maker(tmp_path), half)
    subject = maker(tmp_path)
    assert made(subject, split()).shape == (1, 12, 64)
    assert subject.images_computed == 6


@pytest.mark.parametrize("change", ["weight", "statistic", "image", "size", "layer", "pooling"])
def test_a_changed_weight_image_size_or_layer_misses_the_store(change, tmp_path):
    made(maker(tmp_path), split())
    images, settings = split(), {}
    if change == "image":
        images.images.images[3, 0, 0, 0] ^= 1
    elif change == "size":
        settings = {"size": 24}
    elif change == "layer":
        settings = {"layers": ["layer2"]}
    elif change == "pooling":
        settings = {"pooling": "flattened"}
    subject = maker(tmp_path, **settings)
    if change == "weight":
        subject.network.backbone.conv1.weight.data[0, 0, 0, 0] += 1e-3
    elif change == "statistic":
        subject.network.backbone.bn1.running_mean[0] += 1e-3
    subject.features(images, precision="float32")
    assert subject.images_computed == (1 if change == "image" else 12)


def test_views_depend_on_the_image_and_not_on_its_position():
    augment = AugmentConfig(crop="pad", crop_padding_px=3)
    whole = made(maker(None), split(), augment=augment, views=3)
    assert whole.shape == (3, 12, 64)
    assert not torch.allclose(whole[1], whole[0], atol=1e-3)
    assert not torch.allclose(whole[1], whole[2], atol=1e-3)
    rows = np.array([9, 4])
    part = split()
    part = Split("train", part.labels[rows], ("a", "b"), part.images.select(rows))
    assert torch.allclose(made(maker(None), part, augment=augment, views=3), whole[:, rows], atol=1e-5)


def test_several_layers_need_only_one_pass(tmp_path):
    subject = maker(tmp_path, layers=["layer1", "last"])
    found = subject.features(split(), precision="float32")
    assert [found[layer].shape[2] for layer in ("layer1", "last")] == [16, 64]
    assert subject.images_computed == 12


def test_two_processes_can_fill_one_store_at_the_same_time(tmp_path):
    code = (
        "import sys; from pathlib import Path; import numpy as np; from vision2.features.feature_store import FeatureStore\n"
        "s = FeatureStore(Path(sys.argv[1])); first = int(sys.argv[2])\n"
        "for i in range(first, first + 40, 2): s.add([bytes([i]) * 16, bytes([i + 1]) * 16],"
        " np.array([[i, i], [i + 1, i + 1]], dtype=np.float32))\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "s.sqlite"), first]) for first in ("0", "20")]
    assert [process.wait() for process in processes] == [0, 0]
    rows, missing = FeatureStore(tmp_path / "s.sqlite").read([bytes([i]) * 16 for i in range(60)])
    assert not len(missing)
    assert np.array_equal(rows[:, 0], np.arange(60))


def test_a_damaged_store_counts_as_empty_and_is_replaced(tmp_path):
    store, keys = FeatureStore(tmp_path / "s.sqlite"), [bytes([i]) * 16 for i in range(4)]
    store.add(keys[:2], np.ones((2, 3), dtype=np.float32))
    store.file.write_bytes(b"not a database, whatever it was before")
    rows, missing = store.read(keys)
    assert rows is None
    assert len(missing) == 4
    store.add(keys, np.full((4, 3), 2, dtype=np.float32))
    assert np.array_equal(store.read(keys)[0], np.full((4, 3), 2))


def test_a_store_that_cannot_be_written_is_reported_with_a_remedy(tmp_path):
    (tmp_path / "file").touch()
    store = FeatureStore(tmp_path / "file" / "s.sqlite")
    with pytest.raises(UserError, match=r"cannot store features in .*dataset\.cache_dir=FOLDER"):
        store.add([b"a" * 16], np.ones((1, 2), dtype=np.float32))


def test_features_that_would_not_fit_in_memory_are_refused_with_ways_to_need_less(monkeypatch):
    monkeypatch.setattr("vision2.features.compute.MAX_BYTES", 12 * 64 * 4 - 1)
    with pytest.raises(UserError, match=r"12 images with 64 features each need .*; use strategy\.pooling=pooled, a smaller"):
        made(maker(None), split())


def test_the_same_image_twice_has_one_row(tmp_path):
    store = FeatureStore(tmp_path / "s.sqlite")
    store.add([b"a" * 16, b"b" * 16, b"a" * 16], np.array([[1.0], [2.0], [1.0]], dtype=np.float32))
    rows, missing = store.read([b"b" * 16, b"a" * 16, b"b" * 16])
    assert rows[:, 0].tolist() == [2.0, 1.0, 2.0]
    assert not len(missing)


def test_two_images_with_equal_pixels_are_found_again(tmp_path):
    """A second run on their stored features used to fail with a KeyError."""
    twins = split()
    twins = Split("train", twins.labels[:2], ("a", "b"), twins.images.select(np.array([3, 3])))
    first = made(maker(tmp_path), twins)
    again = maker(tmp_path)
    assert torch.equal(made(again, twins), first)
    assert again.images_computed == 0


def test_an_image_is_identified_by_its_pixels_and_shape():
    image = np.arange(48, dtype=np.uint8)
    shapes = [image.reshape(4, 4, 3), image.reshape(2, 8, 3), image.reshape(4, 4, 3).copy()]
    first, other, copy = image_ids(ArrayImages(shapes), None)
    assert first == copy != other


@pytest.mark.parametrize("side", [32, 120])  # in one tensor, and one by one
def test_the_hashes_of_stored_images_are_computed_once(side, tmp_path, monkeypatch):
    for index in range(6):
        file = tmp_path / f"photos/{index % 2}/{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(index, "PNG", width=side, height=side))
    config = DatasetConfig("folder", root=str(tmp_path / "photos"), cache_dir=str(tmp_path / "cache"))
    images = open_store(list_images(tmp_path / "photos"), config, store_px=200).images
    expected = image_ids(ArrayImages([images.read(index) for index in range(6)]), None)
    ids = tmp_path / "ids"
    assert image_ids(images.select([4, 1]), ids) == [expected[4], expected[1]]
    assert image_ids(images, ids) == expected
    monkeypatch.setattr(feature_store, "_hash", None)
    assert image_ids(images.select([5, 0, 0]), ids) == [expected[5], expected[0], expected[0]]
    monkeypatch.undo()
    next(ids.iterdir()).write_bytes(b"broken")
    assert image_ids(images, ids) == expected


def test_features_are_counted_and_can_be_deleted(tmp_path, capsys):
    from vision2.cache import main

    made(maker(tmp_path / "features"), split())
    assert main([f"dir={tmp_path}"]) == 0
    assert "features of 1 layer," in capsys.readouterr().out
    own = tmp_path / "features" / "mine" / "thesis.sqlite"  # a user's file in a folder of the same name
    own.parent.mkdir()
    own.touch()
    assert main(["clear", f"dir={tmp_path}"]) == 0
    assert list((tmp_path / "features").iterdir()) == [own.parent]
    own.unlink()
    own.parent.rmdir()
    assert main(["clear", f"dir={tmp_path}"]) == 0
    assert not (tmp_path / "features").exists()
    assert main([f"dir={tmp_path}"]) == 0
    assert "features of 0 layers, 0.00 GB" in capsys.readouterr().out
