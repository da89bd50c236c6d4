import numpy as np
import pytest

from vision2.stats.intervals import wilson_interval
from vision2.stats.zero_shot_scores import harmonic_mean, zero_shot_scores


def test_the_harmonic_mean_is_that_of_a_published_row():
    """ESZSL on AwA2: 5.9 % on unseen and 77.8 % on seen classes, harmonic mean 11.0 (Xian et al. 2018, table 9)."""
    assert harmonic_mean(5.9, 77.8) == pytest.approx(11.0, abs=0.05)
    assert harmonic_mean(0.0, 0.0) == 0.0


def test_images_of_unseen_classes_count_twice_among_themselves_and_among_all_classes():
    scores = np.array([[9, 1, 0, 0], [0, 9, 5, 1], [8, 0, 7, 1], [1, 0, 9, 2], [9, 0, 5, 6], [1, 1, 9, 2]])
    labels = np.array([0, 1, 2, 2, 3, 3])
    found = zero_shot_scores(scores, labels, [2, 3])
    assert found["unseen"]["accuracy"] == 3 / 4  # only the last image is taken for class 2
    assert found["unseen"]["chance"] == 1 / 2
    assert found["generalised"]["seen"]["accuracy"] == 1.0
    assert found["generalised"]["unseen"]["accuracy"] == 1 / 4  # two are taken for class 0, one for class 2
    assert found["generalised"]["harmonic_mean"] == pytest.approx(2 * 1.0 * 0.25 / 1.25)
    assert found["unseen"]["n"] == 4
    assert (found["unseen"]["accuracy_low"], found["unseen"]["accuracy_high"]) == wilson_interval(3, 4)
