from __future__ import annotations

import numpy as np
import pytest

from vision2.zeroshot.conse import conse_embedding, conse_scores, split_known


def test_the_embedding_is_the_weighted_mean_of_the_most_probable_classes_by_hand():
    # Vectors of length 1: x, y and -x. Top 2 of (0.6, 0.3, 0.1): (0.6 x + 0.3 y) / 0.9, then scaled to length 1.
    vectors = np.array([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0]])
    found = conse_embedding(np.array([[0.6, 0.3, 0.1]]), vectors, top=2)
    assert found == pytest.approx(np.array([[2, 1]]) / 5**0.5)


def test_with_one_class_the_target_nearest_to_the_most_probable_class_wins():
    known, targets = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.9, 0.1], [0.2, 3.0]])
    scores = conse_scores(np.array([[0.8, 0.2], [0.3, 0.7]]), known, targets, top=1)
    assert scores.argmax(1).tolist() == [0, 1]
    assert scores[0, 0] == pytest.approx(0.9 / (0.81 + 0.01) ** 0.5)


def test_exact_names_are_compared_without_case_and_separators():
    assert split_known(["Sea_Lion", "cat"], ["sea lion", "Egyptian cat"]) == (["Sea_Lion"], ["cat"])
