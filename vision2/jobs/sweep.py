"""Run the jobs of a sweep: skip finished ones, run the rest, and report every failure at the end."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.basics.signals import Stopped
from vision2.config.checks import image_size_px
from vision2.config.command import USER_MISTAKE
from vision2.config.compose import load_config
from vision2.config.schema import Config
from vision2.config.sweep_plan import SweepPlan
from vision2.data.dataset import data_digest
from vision2.jobs.run_job import Outcome, run_recorded, stop_if_interrupted
from vision2.jobs.sweep_progress import output_to
from vision2.models.weights.load import find_weights
from vision2.preparation import wanted_weights
from vision2.runs.groups import group_runs
from vision2.runs.identity import finished_run
from vision2.runs.read import read_run_folders, read_runs
from vision2.runs.sweep_curves import link_curves, link_started
from vision2.runs.sweep_folder import SweepFolder
from vision2.strategies import STRATEGIES
from vision2.training.precision import choose_device, possible_precisions

SHARED_WITH_BEFORE = ("model", "device", "dataset.cache", "dataset.workers", "train.precision")


def run_before(config: Config, overrides: Sequence[str]) -> Path:
    """The finished run that `experiment.before` describes: an earlier one with the same settings, or one trained now.

    Args:
        overrides: those of the user; model, device, cache and precision among them also apply to this run.

    Raises:
        UserError: if that run fails.
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
        print("\ntraining the run to transfer from: " + " ".join(overrides), flush=True)
        outcome = run_recorded(source, shlex.join(["python", "-m", "vision2.train", *overrides]))
        stop_if_interrupted(outcome)
        if outcome.status != "completed":
            raise UserError(f"the run to transfer from did not finish: {outcome.error}")
        done = outcome.run_dir
    return done


def already_finished(config: Config) -> Path | None:
    """The folder of a completed run with this same result, if `skip_finished` is set and there is one."""
    if not config.skip_finished:
        return None

    def current() -> tuple[str, str | None]:
        source = find_weights(wanted_weights(config), config.model)
        return data_digest(config.dataset), source.sha256 if source else None

    formats = {*possible_precisions(config.train.precision, choose_device(config.device), image_size_px(config))}
    if not STRATEGIES[config.strategy.name].TRAINS_BACKBONE:
        formats.add("float32")  # classifiers are fitted in float32 on every device
    return finished_run(Path(config.output_dir).expanduser() / config.dataset.name, asdict(config), current, formats)


def sweep_job(config: Config, command: str, folder: SweepFolder, *, number: int, own_log: bool = False) -> float | None:
    """Run one job of a sweep and record its outcome; returns the validation accuracy, for optimising sweepers.

    Args:
        number: position of the job in its sweep, from 1.
        own_log: write its output to a file in the sweep's folder, because other jobs run at the same time.

    Raises:
        Stopped: to end the sweep if the user stopped the job.
    """
    name = f"{number:02}-{config.model.name}-{config.strategy.name}-seed{config.seed}"
    created = partial(link_started, folder.path, name)
    done = already_finished(config)
    if done is not None:
        outcome = Outcome("skipped", done, 0)
    elif own_log:
        error = f"cannot write its log in {folder.path}; free some space or set output_dir=FOLDER"
        outcome = Outcome("failed", None, USER_MISTAKE, error)
        with suppress(OSError), output_to(folder.path / f"job-{number}.log"):
            outcome = run_recorded(config, command, created)
    else:
        print(f"\njob {number} of {folder.description().get('jobs')}: {command}", flush=True)
        outcome = run_recorded(config, command, created)
    run_dir = str(outcome.run_dir) if outcome.run_dir else None
    folder.add({"number": number, "command": command, "status": outcome.status, "error": outcome.error, "run": run_dir})
    if outcome.error and not own_log:
        print(f"{outcome.status}: {outcome.error}", file=sys.stderr, flush=True)
    stop_if_interrupted(outcome)
    return outcome.summary["metrics"]["val"]["accuracy"] if outcome.summary else None


def finish_sweep(folder: SweepFolder, plan: SweepPlan) -> int:
    """Print and write the table and the report of a sweep, and list every failed job; return the exit code."""
    jobs = folder.jobs()
    counts = Counter(job["status"] for job in jobs)
    shown = ", ".join(f"{count} {status}" for status, count in counts.items())
    print(f"\n{len(jobs)} of {plan.jobs} jobs: {shown}")
    if link_curves(folder.path, read_runs(folder.path)[0]):
        print(f"curves of these runs: tensorboard --logdir {shlex.quote(str(folder.path))}")
    reported = _report(folder, plan.first.report.language) if any(job["run"] for job in jobs) else True
    bad = [job for job in jobs if job["status"] in ("failed", "interrupted")]
    for job in bad:
        print(f"{job['status']}: {job['command']}: {job['error']}", file=sys.stderr)
    return 1 if bad or len(jobs) < plan.jobs or not reported else 0


def _report(folder: SweepFolder, language: str) -> bool:
    """Write the report and print its table; return False if only the table could be printed.

    Raises:
        Stopped: if the user stops it; no partial report is left.
    """
    from vision2.report.build import write_report
    from vision2.report.tables import printed

    again = shlex.join(["python", "-m", "vision2.report", str(folder.path)])
    try:
        print(write_report(folder.path, language=language).text)
    except Stopped:
        print(f"stopped while the report was being written; write it with: {again}", file=sys.stderr)
        raise
    except (UserError, OSError) as error:
        runs, _ = read_run_folders(job["run"] for job in folder.jobs() if job["run"])
        print(printed(group_runs(runs)))
        print(f"the report was not written: {error}. Write it with: {again}", file=sys.stderr)
        return False
    return True
