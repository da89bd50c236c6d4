"""Unseen classes have test images only, the same ones as without the setting."""

from __future__ import annotations

import pytest

from vision2.basics.errors import UserError
from vision2.data.dataset import open_dataset
from vision2.data.settings import DatasetConfig


def opened(seed=0, **settings):
    return open_dataset(DatasetConfig(name="digits", **settings), seed=seed, store_px=32)


def test_no_image_of_an_unseen_class_is_left_in_training_or_validation():
    data, everything = opened(unseen=["3", "8"]), opened()
    assert data.unseen == (3, 8)
    assert set(data.train.labels) == set(data.val.labels) == set(range(10)) - {3, 8}
    assert data.test.ids == everything.test.ids
    seen = [name for name, label in zip(everything.train.ids, everything.train.labels, strict=True) if label not in (3, 8)]
    assert list(data.train.ids) == seen
    assert data.report["unseen"] == ["3", "8"]
    assert data.fingerprint != everything.fingerprint


def test_the_seed_draws_the_unseen_classes():
    drawn = [opened(seed, unseen_drawn=2).unseen for seed in range(6)]
    assert all(len(set(pair)) == 2 for pair in drawn)
    assert len(set(drawn)) > 3
    assert opened(3, unseen_drawn=2).unseen == drawn[3]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"unseen": ["3", "x"]}, "dataset.unseen: there is no class 'x'"),
        ({"unseen": ["3"]}, "dataset.unseen names fewer than two classes; name at least two"),
        ({"unseen": ["3", "3"]}, "dataset.unseen names fewer than two classes"),
        ({"unseen_drawn": 9}, "9 of the 10 classes are unseen; leave at least two to learn from"),
        ({"unseen": ["1", "2"], "unseen_drawn": 2}, "dataset.unseen_drawn draws them; set only one of them"),
        ({"unseen": ["1", "2"], "label_noise": 0.1}, "dataset.label_noise would label images with unseen classes"),
    ],
)
def test_unseen_classes_that_cannot_be_left_out_are_refused_in_one_sentence(settings, sentence):
    with pytest.raises(UserError) as caught:
        opened(**settings)
    assert sentence in str(caught.value)
    assert len(caught.value.problems) == 1
