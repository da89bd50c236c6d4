from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from vision2.data.sampling import LANES, class_weights, draw_numbers, epoch_order, uniforms

LABELS = np.array([0] * 90 + [1] * 9 + [2])


def order(**options) -> np.ndarray:
    return epoch_order(LABELS, **{"seed": 0, "epoch": 1, "shuffle": True} | options)


def test_the_order_depends_on_seed_and_epoch():
    np.testing.assert_array_equal(order(), order())
    assert sorted(order()) == list(range(100))
    assert not np.array_equal(order(), order(seed=1))
    assert not np.array_equal(order(), order(epoch=2))


def test_without_shuffling_the_order_is_that_of_the_split():
    np.testing.assert_array_equal(order(shuffle=False), np.arange(100))


def test_the_balanced_sampler_shows_every_class_equally_often():
    drawn = np.concatenate([LABELS[order(sampler="balanced", epoch=epoch)] for epoch in range(100)])
    np.testing.assert_allclose(np.bincount(drawn) / len(drawn), 1 / 3, atol=0.02)


def test_the_balanced_sampler_skips_class_numbers_without_samples():
    drawn = epoch_order(np.array([0, 0, 3]), seed=0, epoch=0, shuffle=True, sampler="balanced")
    assert set(drawn) <= {0, 1, 2}


def test_a_repeated_sample_gets_a_new_number_each_time():
    numbers = draw_numbers(np.array([3, 1, 3, 3, 0]))
    assert numbers.tolist() == [3, 1, 8, 13, 0]


@given(st.integers(1, 12).flatmap(lambda n: st.lists(st.integers(0, n - 1), min_size=n, max_size=n)))
def test_draw_numbers_are_all_different_and_identify_the_sample(shown):
    numbers = draw_numbers(np.array(shown))
    assert len(set(numbers.tolist())) == len(shown)
    np.testing.assert_array_equal(numbers % len(shown), shown)


def test_class_weights_are_those_of_scikit_learn():
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(class_weights(LABELS, 3), expected, rtol=1e-6)


def test_a_class_without_samples_has_weight_zero_and_changes_no_other_weight():
    weights = class_weights(LABELS, 5)
    np.testing.assert_array_equal(weights[:3], class_weights(LABELS, 3))
    assert weights[3:].tolist() == [0, 0]
    assert abs(weights[LABELS].mean() - 1) < 1e-6


def test_uniforms_depend_on_the_sample_and_not_on_its_neighbours():
    whole = uniforms(7, 3, "crop", np.arange(50), 4)
    np.testing.assert_array_equal(uniforms(7, 3, "crop", np.array([31, 4]), 4), whole[[31, 4]])


def test_seed_epoch_and_lane_each_change_every_draw():
    samples = np.arange(100)
    base = uniforms(0, 1, "flip", samples, 3)
    for other in ((1, 1, "flip"), (0, 2, "flip"), (0, 1, "crop")):
        assert (uniforms(*other, samples, 3) != base).all()


def test_uniforms_are_uniform_and_uncorrelated():
    draws = uniforms(0, 1, LANES[0], np.arange(20_000), 8)
    assert draws.min() >= 0
    assert draws.max() < 1
    np.testing.assert_allclose(draws.mean(0), 0.5, atol=0.01)
    np.testing.assert_allclose(draws.var(0), 1 / 12, atol=0.003)
    neighbours = np.concatenate([draws[1:], draws[:-1]], axis=1)
    np.testing.assert_allclose(np.corrcoef(neighbours.T), np.eye(16), atol=0.04)
