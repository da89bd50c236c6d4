"""Does transfer help? Differences between strategies under an equal budget, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vision2.stats.intervals import Estimate, mean_interval, paired_difference

HELPS, HURTS, NOT_SHOWN = "helps", "hurts", "no difference shown"
SAME = 1e-9  # differences that spread by less are one observation repeated: the seed changed nothing


@dataclass(frozen=True)
class Effect:
    """What one strategy does against the baseline. Accuracies and their differences are shares of 1."""

    name: str
    accuracy: Estimate
    difference: Estimate | None  # None for the baseline itself, and without a common seed
    verdict: str | None


def effects(results: Mapping[str, Mapping[int, float]], baseline: str) -> list[Effect]:
    """Effects of every strategy in `results` (test accuracy by name and seed) against `baseline`.

    A verdict needs Student's 95 % interval of the paired differences on one side of zero, so at least two seeds.
    """
    found = []
    for name, by_seed in results.items():
        if not by_seed:
            continue
        seeds = sorted(set(by_seed) & set(results[baseline]))
        difference = None
        if name != baseline and seeds:
            difference = paired_difference([by_seed[s] for s in seeds], [results[baseline][s] for s in seeds])
        verdict = None if name == baseline else verdict_of(difference)
        found.append(Effect(name, mean_interval(list(by_seed.values())), difference, verdict))
    return found


def verdict_of(difference: Estimate | None) -> str:
    if difference is None or difference.n < 2 or difference.std < SAME:
        return NOT_SHOWN
    return HELPS if difference.low > 0 else HURTS if difference.high < 0 else NOT_SHOWN


def as_text(found: list[Effect], baseline: str) -> str:
    """The table and a sentence for each strategy."""
    width = max(len(effect.name) for effect in found)
    lines = [f"{'strategy':{width}}  {'test accuracy':>22}  {f'difference to {baseline} (points)':>36}  seeds  verdict"]
    for effect in found:
        change = "-" if effect.difference is None else _points(effect.difference)
        lines.append(
            f"{effect.name:{width}}  {_percent(effect.accuracy):>22}  {change:>36}  {effect.accuracy.n:>5}"
            f"  {effect.verdict or 'baseline'}"
        )
    return "\n".join([*lines, *(_sentence(e, baseline) for e in found if e.verdict)])


def _percent(estimate: Estimate) -> str:
    if estimate.n < 2:
        return f"{estimate.mean:.2%}"
    return f"{100 * estimate.mean:.2f} +- {100 * estimate.std:.2f} %"


def _points(estimate: Estimate) -> str:
    if estimate.n < 2:
        return f"{100 * estimate.mean:+.2f} (one seed: no interval)"
    return f"{100 * estimate.mean:+.2f} ({100 * estimate.low:+.2f} to {100 * estimate.high:+.2f})"


def _sentence(effect: Effect, baseline: str) -> str:
    told = {
        HELPS: f"helps: it beats {baseline} on this budget",
        HURTS: f"hurts: {baseline} is better on this budget (negative transfer)",
        NOT_SHOWN: f"shows no difference to {baseline} at 95 %; more seeds narrow the interval",
    }
    return f"{effect.name} {told[effect.verdict]}"
