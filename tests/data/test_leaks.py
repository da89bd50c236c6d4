"""Leaks that inflate test results are found: copies, and versions of one picture."""

from __future__ import annotations

import re

import pytest

from vision2.data.leaks import GROUP_PATTERN, copies_in_train, separated_versions


def test_images_of_other_splits_that_are_in_train_are_named():
    found = copies_in_train([b"a", b"b"], {"val": (["v1", "v2"], [b"c", b"b"]), "test": (["t1"], [b"d"])})
    assert found == {"val": ["v2"], "test": []}


@pytest.mark.parametrize(
    ("one", "other", "picture"),
    [
        ("cat/x.rf.1a2b.jpg", "cat/x.rf.99ff.jpg", "cat/x"),
        ("cat/x.jpg", "cat/x_aug2.jpg", "cat/x"),
        ("cat/IMG_1_BURST001.jpg", "cat/IMG_1_BURST002.jpg", "cat/IMG_1"),
        ("cat/x.jpg", "cat/x (1).jpg", "cat/x"),
        ("cat/x-crop3.png", "cat/x-flip.png", "cat/x"),
    ],
)
def test_versions_of_one_picture_in_two_splits_are_found_and_grouped_by_the_proposed_pattern(one, other, picture):
    assert separated_versions({"train": [one], "test": [other]}) == [picture]
    assert len({re.search(GROUP_PATTERN, name, re.IGNORECASE)[1] for name in (one, other)}) == 1


def test_numbered_pictures_are_not_versions():
    assert separated_versions({"train": ["cat/0001.jpg", "cat/dog_2.jpg"], "test": ["cat/0002.jpg", "cat/dog_3.jpg"]}) == []


def test_a_dot_at_the_end_of_a_name_begins_no_extension():
    assert separated_versions({"train": ["cat/x.", "cat/.y"], "test": ["cat/x.jpg", "cat/y.jpg"]}) == []
