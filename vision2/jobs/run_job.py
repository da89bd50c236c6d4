"""Run one job; every outcome is recorded in the run's summary and reported in one sentence."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from vision2.basics.run_files import LAST
from vision2.basics.signals import Stopped, stopping_on_signals
from vision2.config.command import USER_MISTAKE
from vision2.config.schema import Config
from vision2.experiment import run
from vision2.jobs.evaluate import evaluate
from vision2.jobs.failures import explain, internal_error, no_thread_tracebacks
from vision2.runs.records import RunRecord
from vision2.runs.run_folder import check_can_write, create_run_dir, lock_run
from vision2.runs.status import record_end
from vision2.training.ranks import ONE_RANK, Ranks


@dataclass(frozen=True)
class Outcome:
    status: str  # completed | failed | interrupted | skipped
    run_dir: Path | None
    exit_code: int
    error: str | None = None
    summary: dict | None = None


@dataclass
class _Job:
    """A job and its run folder, which is created (or, when resuming, changed) only once there is something to write."""

    config: Config
    command: str
    created: Callable[[Path], None]
    ranks: Ranks
    run_dir: Path | None = None
    lock: FileLock | None = None

    def prepare(self) -> None:
        """Check before an hour of decoding that the run can be written, and lock the folder of a resumed run.

        Of several processes, the first one does that.
        """
        if self.ranks.rank:
            return
        if self.config.resume:
            self.lock = lock_run(self._resumed())
        else:
            check_can_write(self.config.output_dir)

    def create_run_dir(self) -> Path:
        self.run_dir = self.ranks.from_first(self._resumed if self.config.resume else self._new_folder)
        self.ranks.keep_folder(self.run_dir)
        self.created(self.run_dir)
        return self.run_dir

    def _new_folder(self) -> Path:
        config = self.config
        folder = create_run_dir(config.output_dir, config.dataset.name, config.model.name, config.strategy.name)
        self.lock = lock_run(folder)
        return folder

    def _resumed(self) -> Path:
        return Path(self.config.resume).expanduser().resolve()

    def interrupted(self, signal_number: int) -> Outcome:
        code = 128 + signal_number
        if self.run_dir is None:
            return Outcome("interrupted", None, code, "stopped before the run started; nothing was written")
        self._record("interrupted", None)
        return Outcome("interrupted", self.run_dir, code, f"stopped; {self._remedy()}")

    def lost(self, reason: str) -> Outcome:
        """Another process ended, and with it the run."""
        return self.failed(reason if self.run_dir is None else f"{reason}; {self._remedy()}", exit_code=1)

    def _remedy(self) -> str:
        resume = f"{self.ranks.place.launcher} vision2.train {shlex.quote(f'resume={self.run_dir}')}"
        if (self.run_dir / LAST).exists():
            return f"the last finished epoch is saved. Resume with: {resume}"
        return f"no epoch was finished. Start again in the same folder with: {resume}"

    def failed(self, error: str, exit_code: int = USER_MISTAKE) -> Outcome:
        if self.run_dir is not None:
            self._record("failed", error)
        return Outcome("failed", self.run_dir, exit_code, error)

    def release(self) -> None:
        if self.lock is not None:
            self.lock.release()

    def _record(self, status: str, error: str | None) -> None:
        if self.ranks.rank == 0:
            record_end(RunRecord(self.run_dir), status, asdict(self.config), self.command, error)


def run_recorded(
    config: Config, command: str, created: Callable[[Path], None] = lambda run_dir: None, *, ranks: Ranks = ONE_RANK
) -> Outcome:
    """Run one job and return how it ended, which is also recorded in the run's summary.

    Args:
        created: called with the run folder as soon as it exists.
        ranks: the processes that share the work; each calls this, and the first one records.
    """
    job = _Job(config, command, created, ranks)
    try:
        with stopping_on_signals(), no_thread_tracebacks():
            if config.mode == "eval":
                return Outcome("completed", None, 0, summary=evaluate(config))
            job.prepare()
            summary = run(config, job.create_run_dir, command, ranks)
            return Outcome("completed", job.run_dir, 0, summary=summary)
    except Stopped as stop:
        other = ranks.failure()
        return job.failed(other) if other else job.interrupted(stop.number)
    except Exception as error:
        reason = ranks.lost(error)
        if reason is not None:
            other = ranks.failure()
            return job.failed(other) if other else job.lost(reason)
        sentence = explain(error, config)
        if sentence is not None:
            return job.failed(sentence)
        return job.failed(internal_error(error, job.run_dir), exit_code=1)
    finally:
        job.release()


def report_outcome(outcome: Outcome) -> int:
    """Print how a single run ended and what to do next; returns the exit code."""
    if outcome.status != "completed":
        print(f"error: {outcome.error}" if outcome.status == "failed" else outcome.error, file=sys.stderr)
        return outcome.exit_code
    metrics = outcome.summary["metrics"]
    for split in ("val", "test", "all"):
        if split in metrics:
            print(f"{split:5} {describe_metrics(metrics[split])}")
            if "zero_shot" in metrics[split]:
                print(describe_zero_shot(metrics[split]["zero_shot"], outcome.summary["classes"]))
    if outcome.run_dir is not None:
        print(f"run folder: {outcome.run_dir}")
        print(f"curves:     tensorboard --logdir {shlex.quote(str(outcome.run_dir))}")
    return 0


def describe_metrics(metrics: dict) -> str:
    """One line with the main metrics and their uncertainty, or one for each kind of episode."""
    if "episodes" in metrics:
        kinds = [value for value in metrics.values() if isinstance(value, dict)]
        return "\n      ".join(map(_describe_episodes, kinds))
    return (
        f"accuracy {metrics['accuracy']:.2%} (95 % interval {metrics['accuracy_low']:.2%} to {metrics['accuracy_high']:.2%},"
        f" n = {metrics['n']:,}), balanced {metrics['balanced_accuracy']:.2%}, macro F1 {metrics['macro_f1']:.3f}"
    )


def _describe_episodes(found: dict) -> str:
    low, high = found["accuracy_low"], found["accuracy_high"]
    return (
        f"{found['way']}-way {found['shot']}-shot accuracy {found['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%},"
        f" {found['episodes']:,} episodes)"
    )


def describe_zero_shot(scores: dict, classes: list[str]) -> str:
    """One line with the accuracy among the unseen classes and, generalised, among all."""
    among, generalised = scores["unseen"], scores["generalised"]
    return (
        f"unseen classes ({', '.join(classes[index] for index in scores['classes'])}): accuracy {among['accuracy']:.2%} among"
        f" themselves (95 % interval {among['accuracy_low']:.2%} to {among['accuracy_high']:.2%}, n = {among['n']:,}, chance"
        f" {among['chance']:.2%}); among all classes {generalised['unseen']['accuracy']:.2%}, seen classes"
        f" {generalised['seen']['accuracy']:.2%}, harmonic mean {generalised['harmonic_mean']:.2%}"
    )


def stop_if_interrupted(outcome: Outcome) -> None:
    """End a series of jobs if the user stopped this one.

    Raises:
        Stopped: with the signal that stopped the job.
    """
    if outcome.status == "interrupted":
        raise Stopped(outcome.exit_code - 128)
