"""The one judgement of a difference: supported, contradicted or inconclusive, never more than the data allow.

Values are paired (by seed); each pair gives one difference, and the judgement reads Student's 95 % interval of their mean.
  supported     the whole interval lies on the claimed side of the margin
  contradicted  the whole interval lies on the other side
  inconclusive  everything else: the interval includes the margin, fewer than two pairs, or no spread between pairs (then
                the seed changed nothing and the pairs are one observation)
Facts (a number of parameters) are compared exactly: equal counts contradict "a has fewer".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vision2.stats.intervals import CONFIDENCE, Estimate, newcombe_difference, paired_difference

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"


@dataclass(frozen=True)
class Judgement:
    """What paired values say about "a is better than b"."""

    verdict: str
    reason: str  # interval | exact | one_pair | no_pairs | no_spread
    difference: Estimate | None = None  # a - b; None without a pair
    firmly_contradicted: bool = False  # also at the level corrected for the number of comparisons


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
    """Judge whether `a` is better than `b` by more than `margin`; both are in the same order of seeds.

    Args:
        better: "higher" or "lower".
        margin: below 0 for "not worse by more than".
        exact: the values are facts (a number of parameters), not samples, so that one pair decides.
        comparisons: how many the claim consists of, for the Bonferroni correction of `firmly_contradicted`.
        test_to_train: n_test / n_train where the test images of the seeds overlap; see `intervals.mean_interval`.
    """
    if not a:
        return Judgement(INCONCLUSIVE, "no_pairs")
    difference = paired_difference(a, b, test_to_train=test_to_train)
    if exact:
        return _compare_facts(difference, better, margin)

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


def _compare_facts(difference: Estimate, better: str, margin: float) -> Judgement:
    """Better by more than the margin or, for one below 0, worse by no more than it: otherwise the claim is wrong."""
    gain = difference.mean if better == "higher" else -difference.mean
    verdict = SUPPORTED if gain > margin or gain == margin < 0 else CONTRADICTED
    return Judgement(verdict, "exact", difference, verdict == CONTRADICTED)


def judge_claim(judgements: Sequence[Judgement]) -> str:
    """The verdict on a claim of several comparisons.

    Supported when all are (this needs no correction), contradicted when at least one is at the corrected level.
    """
    if any(judgement.firmly_contradicted for judgement in judgements):
        return CONTRADICTED
    hold = [judgement.verdict == SUPPORTED for judgement in judgements]
    return SUPPORTED if hold and all(hold) else INCONCLUSIVE


def judge_shares(share_a: float, n_a: int, share_b: float, n_b: int) -> str:
    """Judge "share a is higher" from two single proportions: `newcombe_difference` says what that leaves out."""
    low, high = newcombe_difference(share_a, n_a, share_b, n_b)
    return SUPPORTED if low > 0 else CONTRADICTED if high < 0 else INCONCLUSIVE
