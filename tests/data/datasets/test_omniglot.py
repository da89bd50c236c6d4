"""Omniglot: Lake's division of the characters, rotations of training characters only, in three layouts."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vision2.basics.errors import UserError
from vision2.data.dataset import Dataset, open_dataset
from vision2.data.datasets import find_collection
from vision2.data.settings import DatasetConfig

ALPHABETS = {"images_background": ("Greek", "Korean", "Latin"), "images_evaluation": ("Glagolitic", "Manipuri")}
CHARACTERS, DRAWINGS, LARGE_PX = 2, 3, 105


def drawing(number: int) -> Image.Image:
    """Black ink on white: a bar in the upper left corner, longer for a larger number."""
    pixels = np.full((LARGE_PX, LARGE_PX), 255, dtype=np.uint8)
    pixels[5:15, 5 : 30 + 3 * number] = 0
    return Image.fromarray(pixels).convert("1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, number = tmp_path_factory.mktemp("omniglot"), 0
    for part, alphabets in ALPHABETS.items():
        for alphabet in alphabets:
            for character in range(1, CHARACTERS + 1):
                place = root / part / alphabet / f"character{character:02}"
                place.mkdir(parents=True)
                for index in range(DRAWINGS):
                    drawing(number := number + 1).save(place / f"{number:04}_{index:02}.png")
    return root


def opened(root, **settings) -> Dataset:
    config = DatasetConfig(name="omniglot", root=str(root), split_by="class", cache="off", **settings)
    return open_dataset(config, seed=0, store_px=32)


def test_background_alphabets_are_for_training_and_validation_and_the_others_for_testing(folder):
    data = opened(folder)
    alphabets = {
        split.name: {data.all_classes[label].split("/")[0] for label in split.labels}
        for split in (data.train, data.val, data.test)
    }
    assert alphabets == {"train": {"Greek", "Korean"}, "val": {"Latin"}, "test": {"Glagolitic", "Manipuri"}}
    assert data.report["validation_alphabets"] == ["Latin"]


def test_each_rotation_of_a_training_character_is_a_class_and_no_other_character_is_rotated(folder):
    data = opened(folder)
    assert len(data.classes) == 2 * CHARACTERS * 4
    assert len(data.new_classes) == 3 * CHARACTERS
    assert len(data.train) == 2 * CHARACTERS * 4 * DRAWINGS
    assert "Greek/character01/rotated_270" in data.classes
    assert not [name for name in data.new_classes if "rotated" in name]


def test_ink_is_black_at_28_px_and_rotations_are_counter_clockwise(folder):
    data = opened(folder)
    by_id = dict(zip(data.train.ids, range(len(data.train)), strict=True))
    upright_id = next(name for name in data.train.ids if "Greek/character01" in name and "rotated" not in name)
    upright = data.train.images.read(by_id[upright_id])
    assert upright.shape == (28, 28, 3)
    assert upright[2, 4].max() < 55  # the bar
    assert upright[14:].min() > 225
    for turns in (1, 2, 3):
        rotated = data.train.images.read(by_id[f"{upright_id}/rotated_{90 * turns}"])
        assert (rotated == np.rot90(upright, turns)).all()


def test_the_split_does_not_depend_on_the_seed(folder):
    config = DatasetConfig(name="omniglot", root=str(folder), split_by="class", cache="off")
    first, second = (open_dataset(config, seed=seed, store_px=32) for seed in (0, 1))
    assert first.fingerprint == second.fingerprint


def test_torchvisions_folder_and_the_cache_give_the_same_images(folder, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "omniglot-py").symlink_to(folder)
    config = DatasetConfig(name="omniglot", root=str(tmp_path / "root"), split_by="class", cache_dir=str(tmp_path / "cache"))
    decoded, cached = (open_dataset(config, seed=0, store_px=32) for _ in range(2))
    assert list((tmp_path / "cache" / "omniglot").iterdir())
    assert decoded.fingerprint == cached.fingerprint == opened(folder).fingerprint


def test_a_folder_without_one_part_says_which_folder_to_give(tmp_path):
    with pytest.raises(UserError, match=r"holds images_background/ and images_evaluation/, or dataset.download=true"):
        find_collection(DatasetConfig(name="omniglot", root=str(tmp_path), split_by="class"))


def test_a_split_by_image_is_refused(folder):
    with pytest.raises(UserError, match=r"has other classes in each split; leave out dataset\.split_by=image"):
        find_collection(DatasetConfig(name="omniglot", root=str(folder), split_by="image"))
