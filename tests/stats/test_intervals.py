import math

import numpy as np
import pytest
from scipy import stats

from vision2.stats.intervals import mean_interval, newcombe_difference, paired_difference, wilson_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (81, 263), (9_123, 10_000)])
def test_wilson_agrees_with_scipy(successes, n):
    low, high = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=1e-12)


def test_wilson_of_newcombe_1998_table():
    # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3: 15/148 gives 0.0624 to 0.1605.
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


def test_the_interval_of_no_observations_is_zero_to_one():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_mean_interval_agrees_with_scipy():
    values = [0.91, 0.93, 0.90, 0.95]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.std == pytest.approx(np.std(values, ddof=1)) and found.n == 4


def test_mean_interval_by_hand():
    # 1, 2, 3: mean 2, s = 1, t(0.975, 2) = 4.302653, half width 4.302653 / sqrt(3) = 2.484138.
    assert mean_interval([1, 2, 3]) == pytest.approx((2, 1, 2 - 2.484138, 2 + 2.484138, 3), abs=1e-6)


def test_one_run_has_no_spread():
    found = mean_interval([0.9])
    assert found.mean == 0.9 and found.n == 1
    assert math.isnan(found.std) and math.isnan(found.low) and math.isnan(found.high)


def test_no_values_have_no_mean():
    for mean in (lambda: mean_interval([]), lambda: paired_difference([], [])):
        with pytest.raises(ValueError, match="a mean needs at least one value"):
            mean()


def test_paired_difference_agrees_with_scipys_paired_test():
    a, b = [0.90, 0.85, 0.95, 0.80], [0.88, 0.80, 0.94, 0.79]
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    found = paired_difference(a, b)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.mean == pytest.approx(0.0225)


def test_pairs_must_have_equal_lengths():
    with pytest.raises(ValueError):
        paired_difference([1, 2], [1])


def test_difference_of_proportions_of_newcombe_1998_table():
    # Newcombe 1998 (Statistics in Medicine 17:873), table II, method 10: 56/70 - 48/80 gives 0.0524 to 0.3339.
    assert newcombe_difference(56 / 70, 70, 48 / 80, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_overlapping_test_sets_widen_the_interval_as_nadeau_and_bengio_do():
    # 1, 2, 3: s = 1, t(0.975, 2) = 4.302653; variance factor 1/3 + 1/4, half width 4.302653 * sqrt(7/12) = 3.286210.
    found = mean_interval([1, 2, 3], test_to_train=0.25)
    assert (found.std, found.high) == pytest.approx((1, 2 + 3.286210), abs=1e-5)
    assert paired_difference([2, 3, 5], [1, 1, 2], test_to_train=0.25) == pytest.approx(found)


@pytest.mark.parametrize(("values", "repeated"), [([0.1, 0.1, 0.1], True), ([0.1, 0.1001], False), ([0.1], False)])
def test_equal_values_are_one_observation_repeated(values, repeated):
    assert mean_interval(values).repeated is repeated
