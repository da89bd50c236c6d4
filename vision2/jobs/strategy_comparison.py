"""Compare strategies on an equal budget: one job per strategy and seed, judged by their differences from the baseline."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics import text_table
from vision2.basics.atomic_write import write_json
from vision2.basics.errors import UserError, suggest, try_all
from vision2.config.checks import value_problem
from vision2.config.compose import load_config
from vision2.report import scores
from vision2.report.comparisons import TEST_ACCURACY
from vision2.report.seeds import seed_effect, seed_effect_on_pairs
from vision2.report.texts import untranslated
from vision2.runs.groups import Group
from vision2.runs.read import Run
from vision2.runs.records import RunRecord, plain
from vision2.runs.sweep_folder import SweepFolder, create_sweep_dir
from vision2.stats.intervals import Estimate, mean_interval
from vision2.stats.verdict import CONTRADICTED, INCONCLUSIVE, SUPPORTED, judge_pairs
from vision2.strategies import STRATEGIES

if TYPE_CHECKING:
    from vision2.config.schema import Config

OWN = ("strategy", "seed", "resume", "mode")  # keys that the comparison sets itself
HELPS, HURTS, NOT_SHOWN = "helps", "hurts", "no difference shown"
WORDS = {SUPPORTED: HELPS, CONTRADICTED: HURTS, INCONCLUSIVE: NOT_SHOWN}
SENTENCES = {
    HELPS: "helps: it beats {baseline} on this budget",
    HURTS: "hurts: {baseline} is better on this budget (negative transfer)",
    NOT_SHOWN: "shows no difference from {baseline} at 95 %; more seeds narrow the interval",
}


@dataclass(frozen=True)
class Job:
    strategy: str
    overrides: list[str]
    config: Config


@dataclass(frozen=True)
class Effect:
    """The effect of one strategy compared with the baseline. Accuracies and their differences are fractions of 1."""

    name: str
    accuracy: Estimate
    difference: Estimate | None  # None for the baseline itself, or without a common seed
    verdict: str | None


def plan(overrides: list[str], *, strategies: Sequence[str], source: str | None, seeds: Sequence[int]) -> list[Job]:
    """The jobs of every seed, starting with one of the baseline.

    Raises:
        UserError: with every problem of every job, each reported once.
    """
    taken = [word for word in overrides if word.partition("=")[0] in OWN]
    if taken:
        raise UserError(f"'{taken[0]}' is set by the comparison itself; leave it out and use strategies=A,B and seeds=0,1")
    arms = _arms(strategies, source, overrides)
    if wrong := [problem for seed in seeds if (problem := value_problem("seed", seed))]:
        raise UserError(*wrong)
    arms = [(name, [*overrides, *own]) for name, own in arms]
    configs = try_all(lambda arm: load_config([*arm[1], "skip_finished=true"]), arms)  # seeds take part in no contradiction
    return [
        Job(name, [*words, f"seed={seed}"], replace(config, seed=seed))
        for seed in seeds
        for (name, words), config in zip(arms, configs, strict=True)
    ]


def _arms(strategies: Sequence[str], source: str | None, overrides: Sequence[str]) -> list[tuple[str, list[str]]]:
    """(name, its own overrides) of each strategy; with `source`, transfer strategies also start from that run.

    If the model has no published weights, they start only from that run.
    """
    found = []
    for name in dict.fromkeys(strategies):
        if name not in STRATEGIES:
            raise UserError(f"strategies: unknown strategy '{name}'{suggest(name, STRATEGIES)}")
        own = [f"strategy={name}"]
        if name == "scratch" or source is None or _has_weights(overrides):
            found.append((name, own))
        if name != "scratch" and source is not None:
            found.append((f"{name} from source", [*own, f"strategy.source={source}", "weights.path=null"]))
    if len(found) < 2:
        raise UserError("a comparison needs at least two strategies, e.g. strategies=scratch,finetune")
    return found


def _has_weights(overrides: Sequence[str]) -> bool:
    from vision2.models.cards import card_for

    if any(word.startswith("weights.") for word in overrides):
        return True
    return bool(card_for(load_config([word for word in overrides if word.startswith("model")]).model).weights)


def compare(jobs: Sequence[Job], command: str) -> int:
    """Run the jobs, then print and write the comparison; return 1 if a job failed. `command` repeats it.

    Raises:
        UserError: if weights or a source run cannot be used (before anything is trained), or no baseline run finished.
    """
    from vision2.jobs.sweep import sweep_job

    _check_sources(jobs)
    folder = SweepFolder(create_sweep_dir(Path(jobs[0].config.output_dir)))
    folder.describe(command, {}, jobs=len(jobs))
    print(f"{len(jobs)} jobs; the comparison will be written to {folder.path}", flush=True)
    for number, job in enumerate(jobs, start=1):
        sweep_job(job.config, shlex.join(["python", "-m", "vision2.train", *job.overrides]), folder, number=number)
    done, baseline = folder.jobs(), jobs[0].strategy
    results = _finished_runs(jobs, done)
    if not results[baseline]:
        raise UserError(f"no run of {baseline} finished, so there is nothing to compare with; see the errors above")
    found = effects(results, baseline)
    print("\n" + as_text(found, results, baseline))
    failed = [row for row in done if row["status"] == "failed"]
    for row in failed:
        print(f"failed, and left out of the comparison: {row['command']}: {row['error']}", file=sys.stderr)
    record = [
        {"strategy": e.name, "verdict": e.verdict, "accuracy": e.accuracy._asdict()}
        | {"by_seed": {seed: run.get(TEST_ACCURACY) for seed, run in results[e.name].items()}}
        | {"difference": e.difference._asdict() if e.difference else None}
        for e in found
    ]
    write_json(folder.path / "comparison.json", plain({"baseline": baseline, "strategies": record}))
    print(f"written: {folder.path / 'comparison.json'}")
    return int(bool(failed))


def _check_sources(jobs: Sequence[Job]) -> None:
    """Check the weights that every strategy starts from, before any of them is trained."""
    from vision2.models.weights.load import find_weights
    from vision2.preparation import wanted_weights

    for config in {job.strategy: job.config for job in reversed(jobs)}.values():
        find_weights(wanted_weights(config), config.model)


def _finished_runs(jobs: Sequence[Job], done: Sequence[dict]) -> dict[str, dict[int, Run]]:
    """The completed runs by strategy and seed."""
    results: dict[str, dict[int, Run]] = {}
    for job, row in zip(jobs, done, strict=True):
        by_seed = results.setdefault(job.strategy, {})
        if row["status"] in ("completed", "skipped"):
            by_seed[job.config.seed] = Run(Path(row["run"]), RunRecord(row["run"]).summary())
    return results


def effects(results: Mapping[str, Mapping[int, Run]], baseline: str) -> list[Effect]:
    """The effect on test accuracy of every strategy in `results` (runs by name and seed) compared with `baseline`."""
    found = []
    for name, by_seed in results.items():
        if not by_seed:
            continue
        runs = [*by_seed.values()]
        accuracy = mean_interval(_accuracies(runs), test_to_train=seed_effect(runs).test_to_train)
        if name == baseline:
            found.append(Effect(name, accuracy, None, None))
            continue
        seeds = sorted(set(by_seed) & set(results[baseline]))
        sides = [[results[side][seed] for seed in seeds] for side in (name, baseline)]
        correction = seed_effect_on_pairs(sides, TEST_ACCURACY).test_to_train
        judgement = judge_pairs(*map(_accuracies, sides), test_to_train=correction)
        found.append(Effect(name, accuracy, judgement.difference, WORDS[judgement.verdict]))
    return found


def _accuracies(runs: Sequence[Run]) -> list[float]:
    return [run.get(TEST_ACCURACY) for run in runs]


def as_text(found: Sequence[Effect], results: Mapping[str, Mapping[int, Run]], baseline: str) -> str:
    """The table, with accuracies as in reports, and a sentence for each strategy."""
    headings = ["strategy", "test accuracy", f"difference from {baseline} (points)", "interval covers", "verdict"]
    rows = []
    for effect in found:
        runs = Group({}, [*results[effect.name].values()])
        accuracy, covers = (show(runs, TEST_ACCURACY, untranslated) for show in (scores.cell, scores.covers))
        rows.append([effect.name, accuracy, _points(effect.difference), covers, effect.verdict or "baseline"])
    sentences = [f"{e.name} {SENTENCES[e.verdict].format(baseline=baseline)}" for e in found if e.verdict]
    return "\n".join([text_table.as_text(headings, rows), *sentences])


def _points(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.n < 2:
        return f"{100 * estimate.mean:+.2f} (one seed: no interval)"
    return f"{100 * estimate.mean:+.2f} ({100 * estimate.low:+.2f} to {100 * estimate.high:+.2f})"
