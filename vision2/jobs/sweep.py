"""The jobs of a sweep: skip what is finished, run the rest, and report every failure at the end."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.config.compose import load_config
from vision2.config.schema import Config
from vision2.config.sweep_plan import SweepPlan
from vision2.jobs.run_job import Outcome, run_recorded, stop_if_interrupted
from vision2.runs.identity import config_hash, finished_run
from vision2.runs.read import read_runs
from vision2.runs.sweep_curves import link_curves
from vision2.runs.sweep_folder import SweepFolder

SHARED_WITH_BEFORE = ("model", "device", "dataset.cache", "dataset.workers", "train.precision")


def run_before(config: Config, overrides: Sequence[str]) -> Path:
    """The finished run that `experiment.before` describes: an earlier one with the same settings, or made now.

    Args:
        overrides: what the user typed; model, image size and training settings among them hold for this run too.

    Raises:
        UserError: when that run fails.
    """
    shared = [override for override in overrides if override.startswith(SHARED_WITH_BEFORE)]
    own = [f"train.epochs={config.train.epochs}", f"dataset.image_size_px={config.dataset.image_size_px or 'null'}"]
    own += [f"output_dir={config.output_dir}", f"train.batch_size={config.train.batch_size or 'null'}"]
    root = [f"dataset.root={config.experiment.before_root}"] if config.experiment.before_root else []
    model = [] if any(override.startswith("model=") for override in shared) else [f"model={config.model.name}"]
    overrides = [*model, *shared, *own, *config.experiment.before, *root, "skip_finished=true"]
    source = load_config(overrides)
    done = already_finished(source)
    if done is None:
        print("\nfirst the run to transfer from: " + " ".join(overrides), flush=True)
        outcome = run_recorded(source, shlex.join(["python", "-m", "vision2.train", *overrides]))
        stop_if_interrupted(outcome)
        if outcome.status != "completed":
            raise UserError(f"the run to transfer from did not finish: {outcome.error}")
        done = outcome.run_dir
    return done


def already_finished(config: Config) -> Path | None:
    """The folder of a completed run with the same configuration, when `skip_finished` asks to look for one."""
    if not config.skip_finished:
        return None
    parent = Path(config.output_dir).expanduser() / config.dataset.name
    return finished_run(parent, config_hash(asdict(config)))


def sweep_job(config: Config, command: str, folder: SweepFolder) -> float | None:
    """Run one job of a sweep and record its outcome; returns the validation accuracy, for optimising sweepers.

    Raises:
        Stopped: to end the sweep when the user stopped the job.
    """
    done = already_finished(config)
    if done is not None:
        outcome = Outcome("skipped", done, 0)
    else:
        print(f"\njob {len(folder.jobs()) + 1}: {command}", flush=True)
        outcome = run_recorded(config, command)
    run_dir = str(outcome.run_dir) if outcome.run_dir else None
    folder.add({"command": command, "status": outcome.status, "error": outcome.error, "run": run_dir})
    if outcome.error:
        print(f"{outcome.status}: {outcome.error}", file=sys.stderr, flush=True)
    stop_if_interrupted(outcome)
    return outcome.summary["metrics"]["val"]["accuracy"] if outcome.summary else None


def finish_sweep(folder: SweepFolder, plan: SweepPlan) -> int:
    """Print and write the table and the report of a sweep, and name every job that failed."""
    from vision2.report.build import write_report

    jobs = folder.jobs()
    counts = Counter(job["status"] for job in jobs)
    shown = ", ".join(f"{count} {status}" for status, count in counts.items())
    print(f"\n{len(jobs)} of {plan.jobs} jobs: {shown}")
    if any(job["run"] for job in jobs):
        if link_curves(folder.path, read_runs(folder.path)[0]):
            print(f"curves of these runs: tensorboard --logdir {shlex.quote(str(folder.path))}")
        result = write_report(folder.path, language=plan.first.report.language)
        print(result.text)
    bad = [job for job in jobs if job["status"] in ("failed", "interrupted")]
    for job in bad:
        print(f"{job['status']}: {job['command']}: {job['error']}", file=sys.stderr)
    return 1 if bad or len(jobs) < plan.jobs else 0
