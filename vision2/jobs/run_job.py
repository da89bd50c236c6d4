"""Run one job; whatever happens to it is recorded in its own summary and reported in one sentence."""

from __future__ import annotations

import shlex
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from vision2.basics.atomic_write import write_text
from vision2.basics.errors import UserError
from vision2.config.command import USER_MISTAKE
from vision2.config.schema import Config
from vision2.experiment import run
from vision2.jobs.evaluate import evaluate
from vision2.jobs.signals import Stopped, stopping_on_signals
from vision2.runs.environment import environment
from vision2.runs.records import RunRecord
from vision2.runs.run_folder import check_can_write, create_run_dir

TRACE_FILE = "error.txt"


@dataclass(frozen=True)
class Outcome:
    status: str  # completed | failed | interrupted | skipped
    run_dir: Path | None
    exit_code: int
    error: str | None = None
    summary: dict | None = None


@dataclass
class _Job:
    """One job and its run directory, which is created only when there is something to write."""

    config: Config
    command: str
    run_dir: Path | None = None

    def create_run_dir(self) -> Path:
        if self.run_dir is None:
            config = self.config
            self.run_dir = (
                Path(config.resume).expanduser().resolve()
                if config.resume
                else create_run_dir(config.output_dir, config.dataset.name, config.model.name, config.strategy.name)
            )
        return self.run_dir

    def interrupted(self, signal_number: int) -> Outcome:
        code = 128 + signal_number
        if self.run_dir is None:
            return Outcome("interrupted", None, code, "stopped before the run started; nothing was written")
        self._record("interrupted", None)
        if (self.run_dir / "last.pt").exists():
            override = shlex.quote(f"resume={self.run_dir}")
            error = f"stopped; the last finished epoch is saved. Resume with: python -m vision2.train {override}"
        else:
            error = f"stopped; no epoch was finished. Start again with: {self.command}"
        return Outcome("interrupted", self.run_dir, code, error)

    def failed(self, error: str, exit_code: int = USER_MISTAKE) -> Outcome:
        if self.run_dir is not None:
            self._record("failed", error)
        return Outcome("failed", self.run_dir, exit_code, error)

    def _record(self, status: str, error: str | None) -> None:
        """Write how the run ended; what an earlier summary says (a completed run may have been resumed) stays in it."""
        record, config, before = RunRecord(self.run_dir), asdict(self.config), {}
        with suppress(OSError, ValueError):
            before = record.summary()
        now = {"status": status, "error": error, "config": config}
        with suppress(ValueError):  # a broken metrics.jsonl must not hide the error that is being reported
            now["epochs_done"] = len(record.history())
        with suppress(UserError):  # how the run ended matters more than that it cannot be written
            record.write_summary({**before, **now, **environment(), "command": self.command})


def run_recorded(config: Config, command: str) -> Outcome:
    """Run one job; whatever happens to it is one sentence, and is recorded in the run's own summary."""
    job = _Job(config, command)
    try:
        with stopping_on_signals():
            if config.mode == "eval":
                return Outcome("completed", None, 0, summary=evaluate(config))
            if not config.resume:
                check_can_write(config.output_dir)
            summary = run(config, job.create_run_dir, command)
            return Outcome("completed", job.run_dir, 0, summary=summary)
    except Stopped as stop:
        return job.interrupted(stop.number)
    except torch.OutOfMemoryError:
        return job.failed(_memory_advice(config))
    except UserError as error:
        return job.failed(str(error))
    except Exception as error:
        trace = job.create_run_dir() / TRACE_FILE
        write_text(trace, traceback.format_exc())
        text = f"internal error: {type(error).__name__}: {str(error)[:300]} (trace in {trace})"
        return job.failed(text, exit_code=1)


def _memory_advice(config: Config) -> str:
    return (
        f"out of memory with train.batch_size={config.train.batch_size or 'auto'}, dataset.image_size_px="
        f"{config.dataset.image_size_px or 'auto'}, train.precision={config.train.precision}: halve the batch size and"
        " double train.accumulate, use smaller images, or train.precision=bfloat16"
    )


def report_outcome(outcome: Outcome) -> int:
    """Print how a single run ended and what to do next; returns the exit code."""
    if outcome.status != "completed":
        print(f"error: {outcome.error}" if outcome.status == "failed" else outcome.error, file=sys.stderr)
        return outcome.exit_code
    metrics = outcome.summary["metrics"]
    for split in ("val", "test", "all"):
        if split in metrics:
            print(f"{split:5} {describe_metrics(metrics[split])}")
    if outcome.run_dir is not None:
        print(f"run folder: {outcome.run_dir}")
        print(f"curves:     tensorboard --logdir {shlex.quote(str(outcome.run_dir))}")
    return 0


def describe_metrics(metrics: dict) -> str:
    """One line with the main metrics and their uncertainty."""
    return (
        f"accuracy {metrics['accuracy']:.2%} (95 % interval {metrics['accuracy_low']:.2%} to {metrics['accuracy_high']:.2%},"
        f" n = {metrics['n']:,}), balanced {metrics['balanced_accuracy']:.2%}, macro F1 {metrics['macro_f1']:.3f}"
    )


def stop_if_interrupted(outcome: Outcome) -> None:
    """Whoever runs several jobs ends with the one that the user stopped.

    Raises:
        Stopped: with the signal that stopped the job.
    """
    if outcome.status == "interrupted":
        raise Stopped(outcome.exit_code - 128)
