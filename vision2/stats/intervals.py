"""Confidence intervals, all two-sided and, unless another level is given, at the 95 % level.

The formulas are implemented here because `scipy.stats` takes half a second to import and every run needs an interval; the
tests compare the results with those of SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import NamedTuple

CONFIDENCE = 0.95
NO_SPREAD = 1e-9  # values whose relative spread is smaller count as one observation repeated


class Estimate(NamedTuple):
    """A mean over runs and its interval. For a single value, `std`, `low` and `high` are NaN."""

    mean: float
    std: float  # of the sample, n - 1 in the denominator
    low: float
    high: float
    n: int

    @property
    def repeated(self) -> bool:
        """Whether all values are equal: one observation repeated n times, which says nothing about precision."""
        return self.n > 1 and self.std <= NO_SPREAD * max(1.0, abs(self.mean))


def wilson_interval(successes: float, n: int) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927); (0, 1) for n = 0.

    Unlike mean +- z * standard error, it stays within [0, 1] and is accurate near 0 and 1.
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE, *, test_to_train: float = 0.0) -> Estimate:
    """Mean over runs with its Student t interval.

    Args:
        test_to_train: 0 for independent values; n_test / n_train when each value comes from its own random split of the
            same images. The test sets then overlap, so the variance of the mean is not std^2 / n but
            std^2 * (1 / n + n_test / n_train), the corrected resampled t-test (Nadeau and Bengio 2003, Inference for
            the Generalization Error, section 3).

    Raises:
        ValueError: when there are no values.
    """
    values = [float(value) for value in values]
    n = len(values)
    if n == 0:
        raise ValueError("a mean needs at least one value")
    mean = fmean(values)
    if n == 1:
        return Estimate(mean, math.nan, math.nan, math.nan, 1)
    from scipy.special import stdtrit

    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * std * math.sqrt(1 / n + test_to_train)
    return Estimate(mean, std, mean - half, mean + half, n)


def paired_difference(
    a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE, *, test_to_train: float = 0.0
) -> Estimate:
    """Mean of a_i - b_i with the paired t interval; `a` and `b` are in the same order of seeds.

    `test_to_train`: see `mean_interval`.

    Raises:
        ValueError: when the lengths differ or there are no values.
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    return mean_interval(differences, confidence, test_to_train=test_to_train)


def newcombe_difference(share_a: float, n_a: int, share_b: float, n_b: int) -> tuple[float, float]:
    """Interval of the difference of two proportions, share_a - share_b (Newcombe 1998, method 10).

    It covers only the noise of drawing the test images, not that of training with another seed. Treating the two test
    sets as independent is conservative when both runs were tested on the same images.
    """
    low_a, high_a = wilson_interval(share_a * n_a, n_a)
    low_b, high_b = wilson_interval(share_b * n_b, n_b)
    below = math.hypot(share_a - low_a, high_b - share_b)
    above = math.hypot(high_a - share_a, share_b - low_b)
    return share_a - share_b - below, share_a - share_b + above
