"""The judgement of plain numbers; `tests/test_report_comparisons.py` judges runs."""

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
def test_pairs_are_judged_by_where_their_interval_lies(a, b, expected):
    judgement = judge_pairs(a, b)
    assert (judgement.verdict, judgement.reason) == expected


def test_two_shares_are_judged_by_the_noise_of_their_images():
    """Newcombe 1998, table II: 56/70 - 48/80 has an interval above zero; with a tenth of the images it has not."""
    assert judge_shares(0.8, 70, 0.6, 80) == "supported"
    assert judge_shares(0.6, 80, 0.8, 70) == "contradicted"
    assert judge_shares(0.8, 7, 0.6, 8) == "inconclusive"
