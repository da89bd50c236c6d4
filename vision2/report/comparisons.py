"""Judge a claim by its runs. A claim is a list of comparisons, each a plain dict in the experiment's configuration:

    metric: metrics.test.accuracy        # dotted key of a run's summary, or history.first|last|mean.<key of an epoch>
    better: higher                       # or lower; the claim is that a is better than b
    a: {model.name: resnet56}            # dotted configuration keys select the runs; a list of values matches any of them
    b: {model.name: plain56}
    pair_on: [dataset.fraction]          # optional: keys that must be equal within a pair, besides the seed
    tuned: [strategy.lr]                 # optional: keys of which each side gets its best values, by validation accuracy
    margin: 0.0                          # optional: a must be better by more than this; if negative, not worse by more
    metric_b: metrics.test...            # optional: the metric of b, if it is another one of the same runs (a chance level)
    says: "..."   says_es: "..."         # optional: the comparison as a sentence

Runs are paired by seed and judged by `stats.verdict`. With `pair_on`, a seed has several pairs; they share images, so they
are not independent, and their mean counts as one pair. With `tuned`, each side is represented by the values with the
highest validation accuracy, averaged over the seeds; the test split has no part in the choice. Parameters and
multiply-adds are facts, not samples: one pair is enough. A side that matches several configurations in one pair (lite and
full runs together) is refused, never averaged.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from vision2.basics.errors import UserError, suggest
from vision2.report.seeds import SeedEffect, seed_effect_on_pairs
from vision2.runs.groups import configuration, group_runs
from vision2.runs.read import Run, as_number
from vision2.runs.records import look_up
from vision2.stats.intervals import newcombe_difference, paired_difference
from vision2.stats.verdict import INCONCLUSIVE, Judgement, judge_claim, judge_pairs

VAL_ACCURACY = "metrics.val.accuracy"
TEST_ACCURACY = "metrics.test.accuracy"
EXACT = ("parameters", "multiply_adds")
EPISODE_ACCURACY = re.compile(r"metrics\.test\.(\d+-way_\d+-shot)\.accuracy")


@dataclass(frozen=True)
class Comparison:
    """The statement that a is better than b on one metric."""

    metric: str
    a: dict[str, Any]
    b: dict[str, Any]
    better: str = "higher"
    pair_on: tuple[str, ...] = ()
    tuned: tuple[str, ...] = ()
    margin: float = 0.0
    metric_b: str = ""
    says: str = ""
    says_es: str = ""

    @property
    def metrics(self) -> tuple[str, str]:
        """The metric of a and that of b."""
        return self.metric, self.metric_b or self.metric


@dataclass(frozen=True)
class Finding:
    """The judgement of one comparison, and the runs behind it."""

    comparison: Comparison
    judgement: Judgement
    mean_a: float = math.nan
    mean_b: float = math.nan
    test_noise: tuple[float, float] | None = None  # for one pair of test accuracies; never decides (see `_test_noise`)
    unpaired: tuple[str, ...] = ()  # runs without a counterpart on the other side
    ambiguous: tuple[str, ...] = ()  # keys that differ between configurations matched by one side; if any, not judged
    runs: tuple[Sequence[Run], Sequence[Run]] = ((), ())  # the runs of a and of b that were compared
    effect: SeedEffect | None = None  # what the seed changed between the pairs


@dataclass(frozen=True)
class Verdict:
    """The verdict on the whole claim and on each of its comparisons."""

    overall: str
    findings: tuple[Finding, ...]


def parse_comparisons(comparisons: Iterable[Any]) -> list[Comparison]:
    """Parse comparisons from the plain values of a configuration.

    Raises:
        UserError: if a key is missing, unknown or has a wrong value; the message names the comparison and the key.
    """
    parsed, known = [], Comparison.__dataclass_fields__
    for number, values in enumerate(comparisons, start=1):
        where = f"experiment.comparisons[{number}]"
        if not isinstance(values, dict):
            raise UserError(f"{where} is {values!r}; it must be a mapping with metric, a and b")
        if unknown := [key for key in values if key not in known]:
            raise UserError(f"{where} has the unknown key '{unknown[0]}'{suggest(unknown[0], known)}")
        if missing := [key for key in ("metric", "a", "b") if not values.get(key)]:
            raise UserError(f"{where} has no '{missing[0]}'; a comparison needs metric, a and b")
        if values.get("better", "higher") not in ("higher", "lower"):
            raise UserError(f"{where}.better is '{values['better']}'; it must be higher or lower")
        keys = {name: tuple(values.get(name) or ()) for name in ("pair_on", "tuned")}
        parsed.append(Comparison(**values | keys))
    return parsed


def judge_runs(runs: Iterable[Run], comparisons: Sequence[Comparison]) -> Verdict:
    """Judge the comparisons by these runs, ignoring failed runs and older runs of the same configuration and seed."""
    counted = [run for group in group_runs(runs) for run in group.runs]
    findings = tuple(_find(counted, comparison, len(comparisons)) for comparison in comparisons)
    return Verdict(judge_claim([finding.judgement for finding in findings]), findings)


def _find(runs: Sequence[Run], comparison: Comparison, comparisons: int) -> Finding:
    metrics = comparison.metrics
    if not {"fault"} & {*comparison.a, *comparison.b, *comparison.pair_on, *comparison.tuned}:
        runs = [run for run in runs if not run.config.get("fault")]  # wrong by design: compared only if asked for
    chosen = zip((comparison.a, comparison.b), metrics, strict=True)
    sides = [_by_pair(_tuned(runs, wanted, comparison), wanted, metric, comparison.pair_on) for wanted, metric in chosen]
    ambiguous = tuple(dict.fromkeys(key for side in sides for key in _ambiguities(side)))
    if ambiguous:
        return Finding(comparison, Judgement(INCONCLUSIVE, "ambiguous"), ambiguous=ambiguous)
    keys = [key for key in sides[0] if key in sides[1]]
    unpaired = tuple(run.path.name for side in sides for key in side if key not in keys for run in side[key])
    a, b = compared = tuple([side[key][0] for key in keys] for side in sides)
    effect = seed_effect_on_pairs(compared, comparison.metric)
    judgement = judge_pairs(
        *(_by_seed(keys, *side) for side in zip(compared, metrics, strict=True)),
        better=comparison.better,
        margin=comparison.margin,
        exact=comparison.metric in EXACT,
        comparisons=comparisons,
        test_to_train=effect.test_to_train,
    )
    if not keys:
        return Finding(comparison, judgement, unpaired=unpaired)
    means = [fmean(_by_seed(keys, *side)) for side in zip(compared, metrics, strict=True)]
    noise = _test_noise(comparison, [*a, *b] if len(keys) == 1 else [])
    return Finding(comparison, judgement, *means, noise, unpaired, runs=compared, effect=effect)


def _tuned(runs: Sequence[Run], wanted: dict[str, Any], comparison: Comparison) -> Sequence[Run]:
    """The runs of one side with the values of `tuned` that have the highest mean validation accuracy."""
    if not comparison.tuned:
        return runs
    groups: dict[tuple, dict[tuple, list[Run]]] = {}  # values of pair_on -> values of tuned -> runs
    for run in runs:
        if _selects(wanted, run) and run.number(VAL_ACCURACY) is not None:
            paired, tuned = (tuple(str(run.get(key)) for key in keys) for keys in (comparison.pair_on, comparison.tuned))
            groups.setdefault(paired, {}).setdefault(tuned, []).append(run)
    return [run for candidates in groups.values() for run in max(candidates.values(), key=_validation)]


def _validation(runs: Sequence[Run]) -> tuple[int, float]:
    """Complete values first: those that ran with most seeds, then those with the highest mean validation accuracy."""
    return len({run.seed for run in runs}), fmean(run.number(VAL_ACCURACY) for run in runs)


def _by_pair(runs: Sequence[Run], chosen: dict[str, Any], metric: str, pair_on: tuple[str, ...]) -> dict[tuple, list[Run]]:
    """The runs of one side that have the metric, grouped by seed and the values of `pair_on`."""
    side: dict[tuple, list[Run]] = {}
    for run in runs:
        if _selects(chosen, run) and number_of(run, metric) is not None:
            side.setdefault((run.seed, *(str(run.get(key)) for key in pair_on)), []).append(run)
    return side


def _ambiguities(side: dict[tuple, list[Run]]) -> list[str]:
    """What differs between runs of one side that are taken for repetitions: within a seed, and from seed to seed."""
    within = [key for runs in side.values() for key in _differences(runs) or _sources(runs)]
    repeated: dict[tuple, list[Run]] = {}
    for (_, *paired_on), runs in side.items():
        repeated.setdefault(tuple(paired_on), []).extend(runs)
    return within + [key for runs in repeated.values() for key in _differences(runs)]


def _sources(runs: Sequence[Run]) -> list[str]:
    """Several runs of one seed with the same settings were transferred from different runs."""
    return ["strategy.source"] if len(runs) > 1 else []


def _differences(runs: Sequence[Run]) -> list[str]:
    """The keys that differ between these runs, each as `key (value | value)`."""
    configs = [configuration(run) for run in runs]
    keys = [key for key in configs[0] if len({repr(config.get(key)) for config in configs}) > 1]
    return [f"{key} ({' | '.join(dict.fromkeys(str(config.get(key)) for config in configs))})" for key in keys]


def _selects(chosen: dict[str, Any], run: Run) -> bool:
    return all(_matches(run.get(key), value) for key, value in chosen.items())


def _matches(found: Any, wanted: Any) -> bool:
    return found in wanted if isinstance(wanted, list) else found == wanted


def _by_seed(keys: Sequence[tuple], runs: Sequence[Run], metric: str) -> list[float]:
    """One value per seed: the mean over its pairs, which share images and so are not independent."""
    seeds: dict[Any, list[float]] = {}
    for (seed, *_), run in zip(keys, runs, strict=True):
        seeds.setdefault(seed, []).append(number_of(run, metric))
    return [fmean(values) for values in seeds.values()]


def number_of(run: Run, metric: str) -> float | None:
    """The number at a dotted key of the summary, or of the epochs (`history.first|last|mean.<key>`); None if absent."""
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
    """The interval of the difference over the test images (Newcombe) or, in pairs, over the test episodes."""
    if len(pair) == 2 and (kind := EPISODE_ACCURACY.fullmatch(comparison.metric)):
        found = [run.episodes(kind[1]) for run in pair]
        if all(found) and len(found[0]) == len(found[1]):
            difference = paired_difference(*found)
            return difference.low, difference.high
    if comparison.metric != TEST_ACCURACY or len(pair) != 2:
        return None
    (a, n_a), (b, n_b) = ((run.get(TEST_ACCURACY), run.get("metrics.test.n")) for run in pair)
    return newcombe_difference(a, n_a, b, n_b) if n_a and n_b else None
