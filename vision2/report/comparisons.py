"""What runs say about a claim. A claim is a list of comparisons, each a plain dict of the experiment's configuration:

    metric: metrics.test.accuracy        # dotted key of a run's summary, or history.first|last|mean.<key of an epoch>
    better: higher                       # or lower: the claim is that a is better than b
    a: {model.name: resnet56}            # dotted configuration keys choose the runs; a list of values means any of them
    b: {model.name: plain56}
    pair_on: [dataset.fraction]          # optional: what must be equal within a pair, besides the seed
    margin: 0.0                          # optional: a must be better by more than this; below 0: not worse by more than
    says: "..."   says_es: "..."         # optional sentence

Runs are paired by seed and judged by `stats.verdict`. With `pair_on` a seed has several pairs (on the same images, so they
are not repetitions): their mean counts as one pair. Parameters and multiply-adds are facts, not samples: one pair decides.
A side that matches several configurations in one pair (lite and full together) is refused, never averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from vision2.basics.errors import UserError, suggest
from vision2.report.seeds import SeedEffect, seed_effect_on_pairs
from vision2.runs.groups import configuration, group_runs
from vision2.runs.read import Run, as_number
from vision2.runs.records import look_up
from vision2.stats.intervals import newcombe_difference
from vision2.stats.verdict import INCONCLUSIVE, Judgement, judge_claim, judge_pairs

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
    """What the runs say about one comparison."""

    comparison: Comparison
    judgement: Judgement
    mean_a: float = math.nan
    mean_b: float = math.nan
    test_noise: tuple[float, float] | None = None  # Newcombe interval, for one pair of test accuracies; never decides
    unpaired: tuple[str, ...] = ()  # runs of either side without a partner
    ambiguous: tuple[str, ...] = ()  # what differs between the configurations that one side matches: not judged
    runs: tuple[Sequence[Run], Sequence[Run]] = ((), ())  # of a and of b, those that were compared
    effect: SeedEffect | None = None  # what the seed changed between the pairs


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
    parsed, known = [], Comparison.__dataclass_fields__
    for number, values in enumerate(comparisons, start=1):
        where = f"experiment.comparisons[{number}]"
        if not isinstance(values, dict):
            raise UserError(f"{where} is {values!r}; it must hold metric, better, a and b")
        if unknown := [key for key in values if key not in known]:
            raise UserError(f"{where} has unknown key '{unknown[0]}'{suggest(unknown[0], known)}")
        if missing := [key for key in ("metric", "a", "b") if not values.get(key)]:
            raise UserError(f"{where} lacks '{missing[0]}'; a comparison needs metric, better, a and b")
        if values.get("better", "higher") not in ("higher", "lower"):
            raise UserError(f"{where}: better is '{values['better']}'; it must be higher or lower")
        parsed.append(Comparison(**{**values, "pair_on": tuple(values.get("pair_on") or ())}))
    return parsed


def judge_runs(runs: Iterable[Run], comparisons: Sequence[Comparison]) -> Verdict:
    """The verdict of these runs; failed ones and older repetitions of a seed do not count."""
    counted = [run for group in group_runs(runs) for run in group.runs]
    findings = tuple(_find(counted, comparison, len(comparisons)) for comparison in comparisons)
    return Verdict(judge_claim([finding.judgement for finding in findings]), findings)


def _find(runs: Sequence[Run], comparison: Comparison, comparisons: int) -> Finding:
    sides = [_by_pair(runs, chosen, comparison) for chosen in (comparison.a, comparison.b)]
    ambiguous = tuple(dict.fromkeys(key for side in sides for same in side.values() for key in _differences(same)))
    if ambiguous:
        return Finding(comparison, Judgement(INCONCLUSIVE, "ambiguous"), ambiguous=ambiguous)
    keys = [key for key in sides[0] if key in sides[1]]
    unpaired = tuple(run.path.name for side in sides for key in side if key not in keys for run in side[key])
    a, b = compared = tuple([side[key][0] for key in keys] for side in sides)
    effect = seed_effect_on_pairs(compared, comparison.metric)
    judgement = judge_pairs(
        *(_by_seed(keys, side, comparison.metric) for side in compared),
        better=comparison.better,
        margin=comparison.margin,
        exact=comparison.metric in EXACT,
        comparisons=comparisons,
        test_to_train=effect.test_to_train,
    )
    if not keys:
        return Finding(comparison, judgement, unpaired=unpaired)
    means = [fmean(_by_seed(keys, side, comparison.metric)) for side in compared]
    noise = _test_noise(comparison, [*a, *b] if len(keys) == 1 else [])
    return Finding(comparison, judgement, *means, noise, unpaired, runs=compared, effect=effect)


def _by_pair(runs: Sequence[Run], chosen: dict[str, Any], comparison: Comparison) -> dict[tuple, list[Run]]:
    """The runs of one side that have the metric, by what a pair has in common."""
    side: dict[tuple, list[Run]] = {}
    for run in runs:
        wanted = all(_matches(run.get(key), value) for key, value in chosen.items())
        if wanted and number_of(run, comparison.metric) is not None:
            side.setdefault((run.seed, *(str(run.get(key)) for key in comparison.pair_on)), []).append(run)
    return side


def _differences(runs: Sequence[Run]) -> list[str]:
    """`key (value | value)` of what tells the configurations of several runs apart; [] for a single run."""
    if len(runs) < 2:
        return []
    configs = [configuration(run) for run in runs]
    keys = [key for key in configs[0] if len({repr(config.get(key)) for config in configs}) > 1]
    if not keys:  # the same settings, transferred from different runs
        return ["strategy.source"]
    return [f"{key} ({' | '.join(dict.fromkeys(str(config.get(key)) for config in configs))})" for key in keys]


def _matches(found: Any, wanted: Any) -> bool:
    return found in wanted if isinstance(wanted, list) else found == wanted


def _by_seed(keys: Sequence[tuple], runs: Sequence[Run], metric: str) -> list[float]:
    """One value per seed, in order: the mean of its pairs, which share images and so are not repetitions."""
    seeds: dict[Any, list[float]] = {}
    for (seed, *_), run in zip(keys, runs, strict=True):
        seeds.setdefault(seed, []).append(number_of(run, metric))
    return [fmean(values) for values in seeds.values()]


def number_of(run: Run, metric: str) -> float | None:
    """A dotted number of the summary, or of the epochs: `history.first|last|mean.<key>`; None when a run lacks it."""
    head, _, rest = metric.partition(".")
    if head != "history":
        return run.number(metric)
    which, _, key = rest.partition(".")
    values = [as_number(look_up(record, key)) for record in run.history]
    if which == "mean":
        known = [value for value in values if value is not None]
        return fmean(known) if known else None
    return values[0 if which == "first" else -1] if values else None


def _test_noise(comparison: Comparison, pair: Sequence[Run]) -> tuple[float, float] | None:
    if comparison.metric != TEST_ACCURACY or len(pair) != 2:
        return None
    (a, n_a), (b, n_b) = ((run.get(TEST_ACCURACY), run.get("metrics.test.n")) for run in pair)
    return newcombe_difference(a, n_a, b, n_b) if n_a and n_b else None
