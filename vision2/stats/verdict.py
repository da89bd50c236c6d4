"""The one judgement of a difference: supported, contradicted or inconclusive, never more than the data allow.

Values are paired (by seed); each pair gives one difference, and the judgement reads Student's 95 % interval of their mean.
  supported     the whole interval lies on the claimed side of the margin
  contradicted  the whole interval lies on the other side
  inconclusive  everything else: the interval includes the margin, fewer than two pairs, or no spread between pairs (then
                the seed changed nothing and the pairs are one observation)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vision2.stats.intervals import CONFIDENCE, Estimate, newcombe_difference, paired_difference

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"
NO_SPREAD = 1e-9  # differences that vary by less, relative to their mean, are one observation repeated


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
) -> Judgement:
    """Judge whether `a` is better than `b` by more than `margin`; both are in the same order of seeds.

    Args:
        better: "higher" or "lower".
        margin: below 0 for "not worse by more than".
        exact: the values are no samples but facts (a number of parameters), which one pair decides.
        comparisons: how many the claim consists of, for the Bonferroni correction of `firmly_contradicted`.
    """
    if not a:
        return Judgement(INCONCLUSIVE, "no_pairs")
    difference = paired_difference(a, b)

    def side(low: float, high: float) -> str:
        gain = (low, high) if better == "higher" else (-high, -low)
        return SUPPORTED if gain[0] > margin else CONTRADICTED if gain[1] < margin else INCONCLUSIVE

    if exact:
        verdict = side(difference.mean, difference.mean)
        return Judgement(verdict, "exact", difference, verdict == CONTRADICTED)
    if difference.n == 1:
        return Judgement(INCONCLUSIVE, "one_pair", difference)
    if difference.std <= NO_SPREAD * max(1.0, abs(difference.mean)):
        return Judgement(INCONCLUSIVE, "no_spread", difference)
    corrected = paired_difference(a, b, 1 - (1 - CONFIDENCE) / comparisons)
    firmly = side(corrected.low, corrected.high) == CONTRADICTED
    return Judgement(side(difference.low, difference.high), "interval", difference, firmly)


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
