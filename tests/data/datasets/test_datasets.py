"""What adding a data set takes: a module, a line in the table, a YAML file, and a test like the last one here."""

from __future__ import annotations

import pkgutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from vision2.basics.errors import UserError
from vision2.config.checks import LEAVES
from vision2.config.location import options
from vision2.data import datasets
from vision2.data.collection import collect
from vision2.data.dataset import open_dataset
from vision2.data.datasets import DATASETS, DatasetEntry, find_collection, problems
from vision2.data.files.listing import list_images
from vision2.data.settings import DatasetConfig


def test_table_modules_options_and_schema_name_the_same_data_sets():
    assert {module.name for module in pkgutil.iter_modules(datasets.__path__)} == set(DATASETS)
    assert set(options("dataset")) == set(DATASETS)
    assert LEAVES["dataset.name"].metadata["choices"] == tuple(DATASETS)


@pytest.mark.parametrize("name", [name for name, entry in DATASETS.items() if not entry.sources])
def test_a_source_is_refused_where_there_is_none_to_choose(name):
    found = problems(DatasetConfig(name=name, root=".", source="kaggle", split_by="class"))
    assert found == [f"dataset.source=kaggle: dataset={name} has no archives to choose from; leave it out"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"shots_per_class": 5, "imbalance": 10},
            "dataset.shots_per_class balances the classes and dataset.imbalance un",
        ),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "leave no training images; their sum must be below 1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, sentence):
    (found,) = problems(DatasetConfig(name="digits", **settings))
    assert sentence in found


def test_a_data_set_is_a_module_and_a_line_in_the_table(tmp_path, monkeypatch):
    from made_up_images import class_folders

    def find(config):
        files = list_images(class_folders(tmp_path, star=10, galaxy=10))
        return collect(files, [entry.id.split("/")[0] for entry in files], [""] * len(files))

    monkeypatch.setitem(DATASETS, "stars", DatasetEntry(sources=("survey",)))
    monkeypatch.setitem(sys.modules, "vision2.data.datasets.stars", SimpleNamespace(find=find))
    config = DatasetConfig(name="stars", source="survey", cache="memory")
    assert len(find_collection(config, files_only=True)) == len(find_collection(config)) == 20
    data = open_dataset(config, seed=0, store_px=32)
    assert data.classes == ("galaxy", "star")
    assert np.bincount(data.train.labels).tolist() == [7, 7]
    with pytest.raises(UserError, match=r"unknown archive 'surve', did you mean 'survey'\?"):
        find_collection(DatasetConfig(name="stars", source="surve"))


def test_the_digits_are_those_that_scikit_learn_loads():
    from sklearn.datasets import load_digits

    from vision2.data.datasets.digits import read_digits

    for ours, theirs in zip(read_digits(), load_digits(return_X_y=True), strict=True):
        np.testing.assert_array_equal(ours, theirs)
