"""Does transfer help here? Runs scratch and transfer under an equal budget over several seeds and compares them.

    python -m vision2.compare dataset=plants model=mobilenet_v2 train.epochs=5 seeds=0,1,2
    python -m vision2.compare dataset=plants model=resnet18_small source=outputs/cats_vs_dogs/resnet18-scratch/...
    python -m vision2.compare dataset=digits strategies=scratch,feature_extraction,finetune strategy.source=RUN_FOLDER

The first strategy is the baseline; every run gets the same data, epochs and batch size. Differences in test accuracy are
paired by seed; the verdict (helps | hurts | no difference shown) reads their 95 % interval. Finished runs are used again.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError, suggest
from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    from vision2.config.schema import Config

STRATEGIES = ("scratch", "feature_extraction", "finetune")
OPTIONS = {
    "seeds": Option("0,1,2", "seeds to repeat with; two at least for a verdict"),
    "strategies": Option("scratch,finetune", "what to compare; the first is the baseline"),
    "source": Option(None, "a run of ours to transfer from as well as from published weights"),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=list)


def run(words: list[str], options: dict) -> int:
    """Check every job, run them, print and write the comparison; 1 when a job failed."""
    jobs = plan(words, options)
    from vision2.basics.atomic_write import write_json
    from vision2.jobs.sweep import sweep_job
    from vision2.runs.records import plain
    from vision2.runs.sweep_folder import SweepFolder, claim_sweep_folder
    from vision2.stats.comparison import as_text, effects

    _check_sources(jobs)
    baseline = jobs[0][0]
    folder = SweepFolder(claim_sweep_folder(Path(jobs[0][2].output_dir)))
    print(f"{len(jobs)} jobs; the comparison goes to {folder.path}", flush=True)
    for _, line, config in jobs:
        sweep_job(config, shlex.join(["python", "-m", "vision2.train", *line]), folder)
    results: dict[str, dict[int, float]] = {}
    for (name, _, config), job in zip(jobs, folder.jobs(), strict=True):
        accuracies = results.setdefault(name, {})
        if job["status"] in ("completed", "skipped"):
            summary = json.loads((Path(job["run"]) / "summary.json").read_text(encoding="utf-8"))
            accuracies[config.seed] = summary["metrics"]["test"]["accuracy"]
    if not results[baseline]:
        raise UserError(f"no run of {baseline} finished, so there is nothing to compare with")
    found = effects(results, baseline)
    print("\n" + as_text(found, baseline))
    failed = [job for job in folder.jobs() if job["status"] == "failed"]
    for job in failed:
        print(f"failed, and left out above: {job['command']}: {job['error']}", file=sys.stderr)
    record = [
        {"strategy": e.name, "verdict": e.verdict, "accuracy": e.accuracy._asdict(), "by_seed": results[e.name]}
        | {"difference": e.difference._asdict() if e.difference else None}
        for e in found
    ]
    write_json(folder.path / "comparison.json", plain({"baseline": baseline, "strategies": record}))
    print(f"written: {folder.path / 'comparison.json'}")
    return int(bool(failed))


def plan(words: list[str], options: dict) -> list[tuple[str, list[str], Config]]:
    """(name of the strategy, words, configuration) of every job, by seed.

    Raises:
        UserError: with every problem of every job, each told once.
    """
    from vision2.config.compose import load_config

    taken = [word for word in words if word.partition("=")[0] in ("strategy", "seed", "resume", "mode")]
    if taken:
        raise UserError(f"'{taken[0]}' is chosen by the comparison itself; use strategies=... and seeds=...")
    jobs, problems = [], {}
    for seed in _seeds(options["seeds"]):
        for name, own in arms(options["strategies"], options["source"], words):
            line = [*words, *own, f"seed={seed}"]
            try:
                jobs.append((name, line, load_config([*line, "skip_finished=true"])))
            except UserError as error:
                problems |= dict.fromkeys(error.problems)
    if problems:
        raise UserError(*problems)
    return jobs


def _check_sources(jobs: list[tuple[str, list[str], Config]]) -> None:
    """What one arm transfers from is looked at before another one is trained.

    Raises:
        UserError: for weights or a source run that cannot be used.
    """
    from vision2.models.weights.load import find_weights
    from vision2.preparation import wanted_weights

    first = {name: config for name, _, config in reversed(jobs)}
    for config in first.values():
        find_weights(wanted_weights(config), config.model)


def _seeds(text: str) -> list[int]:
    try:
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise UserError(f"seeds is '{text}', it must be whole numbers with commas, e.g. seeds=0,1,2") from error


def arms(strategies: str, source: str | None, words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """(name, its own words) of each strategy; with `source`, each one that transfers also from that run.

    A model without published weights transfers from the run only.
    """
    found = []
    for name in dict.fromkeys(part.strip() for part in strategies.split(",")):
        if name not in STRATEGIES:
            raise UserError(f"strategies has '{name}'{suggest(name, STRATEGIES)}")
        if name == "scratch" or source is None or _has_weights(words):
            found.append((name, [f"strategy={name}"]))
        if name != "scratch" and source is not None:
            found.append(
                (f"{name} from source", [f"strategy={name}", f"strategy.source={source}", "weights.path=null"])
            )
    if len(found) < 2:
        raise UserError("a comparison needs two strategies at least, e.g. strategies=scratch,finetune")
    return found


def _has_weights(words: Sequence[str]) -> bool:
    from vision2.config.compose import load_config
    from vision2.models.cards import card_for

    if any(word.startswith("weights.") for word in words):
        return True
    return bool(card_for(load_config([w for w in words if w.startswith("model")]).model).weights)


if __name__ == "__main__":
    sys.exit(main())
