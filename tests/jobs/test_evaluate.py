from __future__ import annotations

import numpy as np
import pytest

from vision2.basics.errors import UserError
from vision2.data.dataset import Dataset, Split
from vision2.jobs.evaluate import in_classes_of


def made(classes, labels):
    parts = [Split(name, np.array(labels), tuple(map(str, range(len(labels)))), None) for name in ("train", "val", "test")]
    return Dataset("folder", tuple(classes), *parts, {}, "")


def test_classes_are_matched_by_name_and_may_be_missing():
    data = in_classes_of(made(["ant", "cow"], [0, 1, 1]), ["ant", "bee", "cow"])
    assert data.classes == ("ant", "bee", "cow")
    assert data.test.labels.tolist() == [0, 2, 2]


def test_a_class_the_checkpoint_does_not_know_is_one_sentence():
    with pytest.raises(UserError, match="a class 'cows' that the checkpoint lacks, did you mean 'cow'"):
        in_classes_of(made(["ant", "cows"], [0, 1]), ["ant", "cow"])
