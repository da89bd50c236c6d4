"""Verdicts on plain numbers; `tests/report/test_comparisons.py` covers those on runs."""

import pytest

from vision2.stats.verdict import judge_pairs, judge_shares


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0.90, 0.92, 0.94], [0.80, 0.80, 0.80], ("supported", "interval")),
        ([0.80, 0.81, 0.80], [0.90, 0.90, 0.90], ("contradicted", "interval")),
        ([0.90, 0.82, 0.80], [0.80, 0.80, 0.80], ("inconclusive", "interval")),
        ([0.9, 0.9], [0.1, 0.1], ("inconclusive", "no_spread")),
        ([0.9], [0.1], ("inconclusive", "one_pair")),
        ([], [], ("inconclusive", "no_pairs")),
    ],
)
def test_pairs_are_judged_by_the_position_of_their_interval(a, b, expected):
    judgement = judge_pairs(a, b)
    assert (judgement.verdict, judgement.reason) == expected


def test_two_proportions_are_judged_by_the_noise_of_their_images():
    """Newcombe 1998, table II: 56/70 - 48/80 has an interval above zero, but not with a tenth of the images."""
    assert judge_shares(0.8, 70, 0.6, 80) == "supported"
    assert judge_shares(0.6, 80, 0.8, 70) == "contradicted"
    assert judge_shares(0.8, 7, 0.6, 8) == "inconclusive"


@pytest.mark.parametrize(
    ("a", "b", "margin", "expected"),
    [
        (4, 5, 0, "supported"),
        (5, 5, 0, "contradicted"),
        (6, 5, 0, "contradicted"),
        (5, 5, -1, "supported"),
        (6, 5, -1, "supported"),
    ],
)
def test_equal_counts_contradict_a_claim_of_fewer(a, b, margin, expected):
    judgement = judge_pairs([a], [b], better="lower", margin=margin, exact=True)
    assert (judgement.verdict, judgement.reason) == (expected, "exact")
    assert judgement.firmly_contradicted == (expected == "contradicted")


def test_a_difference_supported_only_if_test_sets_were_independent_is_inconclusive():
    # Differences 0.10, 0.12, 0.14: mean 0.12, half width 4.302653 * 0.02 * sqrt(1/3 + 2.5) = 0.1448 > 0.12.
    a, b = [0.90, 0.92, 0.94], [0.80, 0.80, 0.80]
    assert judge_pairs(a, b).verdict == "supported"
    assert judge_pairs(a, b, test_to_train=2.5).verdict == "inconclusive"
