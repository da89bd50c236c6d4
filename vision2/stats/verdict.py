"""How every difference is judged: supported, contradicted or inconclusive.

Values are paired by seed; each pair gives one difference, and the verdict depends on Student's 95 % interval of their mean.
  supported     the whole interval is on the claimed side of the margin
  contradicted  the whole interval is on the other side
  inconclusive  all other cases: the interval includes the margin, there are fewer than two pairs, or all pairs are equal
                (the seed changed nothing, so they are one observation)
Exact values, such as a number of parameters, are compared directly: equal counts contradict "a has fewer".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vision2.stats.intervals import CONFIDENCE, Estimate, newcombe_difference, paired_difference

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"


@dataclass(frozen=True)
class Judgement:
    """The verdict of paired values on the claim "a is better than b"."""

    verdict: str
    reason: str  # interval | exact | one_pair | no_pairs | no_spread
    difference: Estimate | None = None  # a - b; None without a pair
    firmly_contradicted: bool = False  # contradicted even at the level corrected for the number of comparisons


def judge_pairs(
    a: Sequence[float],
    b: Sequence[float],
    *,
    better: str = "higher",
    margin: float = 0.0,
    exact: bool = False,
    comparisons: int = 1,
    test_to_train: float = 0.0,
) -> Judgement:
    """Judge whether `a` is better than `b` by more than `margin`; both list the same seeds in the same order.

    Args:
        better: "higher" or "lower".
        margin: a negative value means "not worse by more than |margin|".
        exact: the values are exact (such as a number of parameters) rather than samples, so that one pair is enough.
        comparisons: how many comparisons the claim consists of, for the Bonferroni correction of `firmly_contradicted`.
        test_to_train: n_test / n_train when the test sets of the seeds overlap; see `intervals.mean_interval`.
    """
    if not a:
        return Judgement(INCONCLUSIVE, "no_pairs")
    difference = paired_difference(a, b, test_to_train=test_to_train)
    if exact:
        return _compare_exactly(difference, better, margin)

    def side(low: float, high: float) -> str:
        gain = (low, high) if better == "higher" else (-high, -low)
        return SUPPORTED if gain[0] > margin else CONTRADICTED if gain[1] < margin else INCONCLUSIVE

    if difference.n == 1:
        return Judgement(INCONCLUSIVE, "one_pair", difference)
    if difference.repeated:
        return Judgement(INCONCLUSIVE, "no_spread", difference)
    corrected = paired_difference(a, b, 1 - (1 - CONFIDENCE) / comparisons, test_to_train=test_to_train)
    firmly = side(corrected.low, corrected.high) == CONTRADICTED
    return Judgement(side(difference.low, difference.high), "interval", difference, firmly)


def _compare_exactly(difference: Estimate, better: str, margin: float) -> Judgement:
    """Supported if better by more than the margin or, for a negative one, worse by no more than |margin|."""
    gain = difference.mean if better == "higher" else -difference.mean
    verdict = SUPPORTED if gain > margin or gain == margin < 0 else CONTRADICTED
    return Judgement(verdict, "exact", difference, verdict == CONTRADICTED)


def judge_claim(judgements: Sequence[Judgement]) -> str:
    """The verdict on a claim of several comparisons.

    It is supported when all are (which needs no correction) and contradicted when one is, at the corrected level.
    """
    if any(judgement.firmly_contradicted for judgement in judgements):
        return CONTRADICTED
    hold = [judgement.verdict == SUPPORTED for judgement in judgements]
    return SUPPORTED if hold and all(hold) else INCONCLUSIVE


def judge_shares(share_a: float, n_a: int, share_b: float, n_b: int) -> str:
    """Judge "share a is higher" from two proportions; `newcombe_difference` describes what the interval leaves out."""
    low, high = newcombe_difference(share_a, n_a, share_b, n_b)
    return SUPPORTED if low > 0 else CONTRADICTED if high < 0 else INCONCLUSIVE
