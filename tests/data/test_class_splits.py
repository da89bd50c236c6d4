"""A split by class: whole classes, by seed, and a data set's own division of the classes is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_images import class_folders, write_images

from vision2.basics.errors import UserError
from vision2.data.class_splits import split_classes
from vision2.data.collection import Collection
from vision2.data.dataset import open_dataset
from vision2.data.settings import DatasetConfig

SHARES = {"val_fraction": 0.1, "test_fraction": 0.2}


def collection(count: int, images: int = 3) -> Collection:
    labels = np.tile(np.arange(count), images)
    ids = tuple(f"{label}/{index}" for index, label in enumerate(labels))
    return Collection(tuple(f"c{k}" for k in range(count)), labels, ids, np.full(len(ids), "", dtype="<U5"))


@given(st.integers(6, 60), st.integers(0, 99))
def test_every_class_is_in_one_split_and_training_classes_come_first(count, seed):
    given_ = collection(count)
    found, parts = split_classes(given_, seed=seed, **SHARES)
    names = [{found.classes[label] for label in found.labels[parts == part]} for part in ("train", "val", "test")]
    assert sum(map(len, names)) == count
    assert set.union(*names) == set(given_.classes)
    assert len(names[1]) == max(2, round(0.1 * (count - len(names[2]))))
    assert len(names[2]) == max(2, round(0.2 * count))
    assert {found.classes[k] for k in range(len(names[0]))} == names[0]
    assert [found.classes[label] for label in found.labels] == [given_.classes[label] for label in given_.labels]


def test_the_seed_decides_which_classes_are_new():
    tests = []
    for seed in (0, 0, 1):
        found, parts = split_classes(collection(30), seed=seed, **SHARES)
        tests.append({found.classes[label] for label in found.labels[parts == "test"]})
    assert tests[0] == tests[1] != tests[2]


def test_five_classes_are_too_few():
    with pytest.raises(
        UserError,
        match="at least 2 classes in each split, but the 5 classes give train 1, val 2, test 2; use a data set with at least 6",
    ):
        split_classes(collection(5), seed=0, **SHARES)


def test_class_folders_are_split_by_class_and_recorded(tmp_path):
    class_folders(tmp_path, a=3, b=3, c=3, d=3, e=3, f=3, g=3)
    data = open_dataset(DatasetConfig("folder", root=str(tmp_path), split_by="class", cache="off"), seed=0, store_px=32)
    record = data.split_record()
    assert len(record["classes"]) == 3
    assert len(record["new_classes"]) == 4
    names = record["classes"] + record["new_classes"]
    for split in record["splits"].values():
        assert [name.split("/")[0] for name in split["ids"]] == [names[label] for label in split["labels"]]
    assert set(data.report["counts"]["test"]).isdisjoint(data.classes)


def test_folders_of_splits_with_other_classes_in_each_are_kept(tmp_path):
    parts = {"train": "abc", "val": "de", "test": "fg"}
    write_images(tmp_path, [f"{part}/{name}/{i}.jpg" for part, names in parts.items() for name in names for i in range(2)])
    data = open_dataset(DatasetConfig("folder", root=str(tmp_path), split_by="class", cache="off"), seed=0, store_px=32)
    assert data.classes == ("a", "b", "c")
    assert data.new_classes == ("d", "e", "f", "g")
    assert {data.all_classes[label] for label in data.test.labels} == {"f", "g"}
