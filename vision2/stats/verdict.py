"""What the runs say about a claim: supported, contradicted or inconclusive, never more than the data allow.

A claim is a list of comparisons, each a plain dict of the experiment's configuration:

    metric: metrics.test.accuracy        # dotted key of a run's summary, or history.first|last|mean.<key of an epoch>
    better: higher                       # or lower: the claim is that a is better than b
    a: {model.name: resnet56}            # dotted configuration keys choose the runs; a list of values means any of them
    b: {model.name: plain56}
    pair_on: [dataset.fraction]          # optional: what must be equal within a pair, besides the seed
    margin: 0.0                          # optional: a must be better by more than this; below 0: not worse by more than
    says: "..."   says_es: "..."         # optional sentence

Rules. Runs are paired by seed; each pair gives one difference, and the verdict reads Student's 95 % interval of their mean.
With `pair_on` a seed has several pairs (on the same images, so they are no repetitions): their mean counts as one pair.
  supported     the whole interval lies on the claimed side of the margin
  contradicted  the whole interval lies on the other side
  inconclusive  everything else: the interval includes the margin, fewer than two pairs, or no spread between pairs (then
                the seed changed nothing and the pairs are one observation)
Counts of the network itself (parameters, multiply-adds) are no samples: they are compared as they are, from one pair on.
A claim of several comparisons holds when all of them hold: *supported* when all are (this needs no correction),
*contradicted* when at least one is at the level 95 % corrected for their number (Bonferroni), else *inconclusive*.
With one pair the Newcombe interval of the test images is shown; it covers the noise of drawing test images only, so it
never decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vision2.basics.errors import UserError, suggest
from vision2.runs.read import Run
from vision2.runs.table import group_runs
from vision2.stats.intervals import CONFIDENCE, Estimate, newcombe_difference, paired_difference

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"
TEST_ACCURACY = "metrics.test.accuracy"
EXACT = ("parameters", "multiply_adds")


@dataclass(frozen=True)
class Comparison:
    """One statement "a is better than b on this metric"."""

    metric: str
    a: dict[str, Any]
    b: dict[str, Any]
    better: str = "higher"
    pair_on: tuple[str, ...] = ()
    margin: float = 0.0
    says: str = ""
    says_es: str = ""


@dataclass(frozen=True)
class Finding:
    """What the runs say about one comparison. `difference` is a - b; None without a pair."""

    comparison: Comparison
    verdict: str
    reason: str  # interval | exact | one_pair | no_pairs | no_spread
    difference: Estimate | None = None
    mean_a: float = math.nan
    mean_b: float = math.nan
    firmly_contradicted: bool = False  # at the corrected level
    test_noise: tuple[float, float] | None = None  # Newcombe interval, for one pair of test accuracies
    unpaired: tuple[str, ...] = field(default=())  # runs of either side without a partner


@dataclass(frozen=True)
class Verdict:
    """The verdict on the whole claim and on each of its comparisons."""

    overall: str
    findings: tuple[Finding, ...]


def parse_comparisons(comparisons: Iterable[Any]) -> list[Comparison]:
    """Comparisons from the plain values of a configuration.

    Raises:
        UserError: naming the comparison and the key that is missing, unknown or wrong.
    """
    parsed = []
    for number, values in enumerate(comparisons, start=1):
        where = f"experiment.comparisons[{number}]"
        if not isinstance(values, dict):
            raise UserError(f"{where} is {values!r}, it must hold metric, better, a and b")
        unknown = [key for key in values if key not in Comparison.__dataclass_fields__]
        if unknown:
            raise UserError(
                f"{where} has unknown key '{unknown[0]}'{suggest(unknown[0], Comparison.__dataclass_fields__)}"
            )
        missing = [key for key in ("metric", "a", "b") if not values.get(key)]
        if missing:
            raise UserError(f"{where} lacks '{missing[0]}'; a comparison needs metric, better, a and b")
        if values.get("better", "higher") not in ("higher", "lower"):
            raise UserError(f"{where}: better is '{values['better']}', it must be higher or lower")
        parsed.append(Comparison(**{**values, "pair_on": tuple(values.get("pair_on") or ())}))
    return parsed


def judge(runs: Iterable[Run], comparisons: Sequence[Comparison]) -> Verdict:
    """The verdict of these runs; failed ones and older repetitions of a seed do not count."""
    counted = [run for group in group_runs(runs) for run in group.runs]
    strict = 1 - (1 - CONFIDENCE) / max(len(comparisons), 1)
    findings = tuple(_find(counted, comparison, strict) for comparison in comparisons)
    if any(finding.firmly_contradicted for finding in findings):
        return Verdict(CONTRADICTED, findings)
    all_hold = bool(findings) and all(finding.verdict == SUPPORTED for finding in findings)
    return Verdict(SUPPORTED if all_hold else INCONCLUSIVE, findings)


def _find(runs: Sequence[Run], comparison: Comparison, strict: float) -> Finding:
    side_a, side_b = (_by_pair(runs, chosen, comparison) for chosen in (comparison.a, comparison.b))
    keys = [key for key in side_a if key in side_b]
    unpaired = tuple(run.path.name for side in (side_a, side_b) for key in side if key not in keys for run in side[key])
    if not keys:
        return Finding(comparison, INCONCLUSIVE, "no_pairs", unpaired=unpaired)
    values_a, values_b = (_by_seed({key: side[key] for key in keys}, comparison.metric) for side in (side_a, side_b))
    difference = paired_difference(values_a, values_b)
    verdict, reason, firmly, noise = INCONCLUSIVE, "interval", False, None
    if comparison.metric in EXACT:
        exact = difference._replace(low=difference.mean, high=difference.mean)
        reason, verdict = "exact", _side(comparison, exact)
        firmly = verdict == CONTRADICTED
    elif difference.n == 1:
        reason = "one_pair"
        noise = _test_noise(comparison, side_a[keys[0]], side_b[keys[0]]) if len(keys) == 1 else None
    elif difference.std <= 1e-9 * max(1.0, abs(difference.mean)):
        reason = "no_spread"
    else:
        verdict = _side(comparison, difference)
        firmly = _side(comparison, paired_difference(values_a, values_b, strict)) == CONTRADICTED
    means = _mean(values_a), _mean(values_b)
    return Finding(comparison, verdict, reason, difference, *means, firmly, noise, unpaired)


def _side(comparison: Comparison, difference: Estimate) -> str:
    """Which side of the margin the interval of the gain (how much better a is) lies on."""
    low, high = difference.low, difference.high
    if comparison.better == "lower":
        low, high = -high, -low
    if low > comparison.margin:
        return SUPPORTED
    return CONTRADICTED if high < comparison.margin else INCONCLUSIVE


def _by_pair(runs: Sequence[Run], chosen: dict[str, Any], comparison: Comparison) -> dict[tuple, list[Run]]:
    """The runs of one side that have the metric, by what a pair has in common."""
    sides: dict[tuple, list[Run]] = {}
    for run in runs:
        if (
            all(_matches(run.get(key), value) for key, value in chosen.items())
            and number_of(run, comparison.metric) is not None
        ):
            sides.setdefault((run.seed, *(str(run.get(key)) for key in comparison.pair_on)), []).append(run)
    return sides


def _matches(found: Any, wanted: Any) -> bool:
    return found in wanted if isinstance(wanted, list) else found == wanted


def _by_seed(pairs: dict[tuple, list[Run]], metric: str) -> list[float]:
    """One value a seed, in the order of `pairs`: what a seed has several runs of is no repetition, so means are taken."""
    seeds: dict[Any, list[float]] = {}
    for (seed, *_), runs in pairs.items():
        seeds.setdefault(seed, []).append(_mean([number_of(run, metric) for run in runs]))
    return [_mean(values) for values in seeds.values()]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def number_of(run: Run, metric: str) -> float | None:
    """A dotted number of the summary, or of the epochs: `history.first|last|mean.<key>`; None when a run lacks it."""
    head, _, rest = metric.partition(".")
    if head != "history":
        return _number(run.get(metric))
    which, _, key = rest.partition(".")
    values = [_number(_look_up(record, key)) for record in run.history]
    known = [value for value in values if value is not None]
    if which == "mean":
        return math.fsum(known) / len(known) if known else None
    return values[0 if which == "first" else -1] if values else None


def _look_up(record: dict, key: str) -> Any:
    found: Any = record
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _number(value: Any) -> float | None:
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        else None
    )


def _test_noise(comparison: Comparison, runs_a: list[Run], runs_b: list[Run]) -> tuple[float, float] | None:
    if comparison.metric != TEST_ACCURACY or len(runs_a) != 1 or len(runs_b) != 1:
        return None
    n_a, n_b = (run.get("metrics.test.n") for run in (runs_a[0], runs_b[0]))
    if not n_a or not n_b:
        return None
    return newcombe_difference(runs_a[0].get(TEST_ACCURACY), n_a, runs_b[0].get(TEST_ACCURACY), n_b)
