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
from vision2.runs.identity import config_hash
from vision2.runs.records import RunRecord
from vision2.runs.run_folder import check_can_write, claim_run_folder

TRACE_FILE = "error.txt"


@dataclass(frozen=True)
class Outcome:
    status: str  # completed | failed | interrupted | skipped
    run_dir: Path | None
    exit_code: int
    error: str | None = None
    summary: dict | None = None


def run_recorded(config: Config, command: str) -> Outcome:
    """Run one job; whatever happens is printed in one line and stands in the run's own summary."""
    folders: list[Path] = []

    def claim() -> Path:
        if not folders:
            resumed = Path(config.resume).expanduser().resolve() if config.resume else None
            folders.append(
                resumed
                or claim_run_folder(config.output_dir, config.dataset.name, config.model.name, config.strategy.name)
            )
        return folders[0]

    try:
        with stopping_on_signals():
            if config.mode == "eval":
                return Outcome("completed", None, 0, summary=evaluate(config))
            if not config.resume:
                check_can_write(config.output_dir)
            summary = run(config, claim, command)
            return Outcome("completed", claim(), 0, summary=summary)
    except Stopped as stop:
        return _interrupted(folders, config, command, stop.number)
    except torch.OutOfMemoryError:
        return _failed(folders, config, command, UserError(_memory_advice(config)))
    except UserError as error:
        return _failed(folders, config, command, error)
    except Exception as error:
        write_text(claim() / TRACE_FILE, traceback.format_exc())
        text = f"internal error: {type(error).__name__}: {str(error)[:300]} (trace in {claim() / TRACE_FILE})"
        return _failed(folders, config, command, UserError(text), exit_code=1)


def _interrupted(folders: list[Path], config: Config, command: str, number: int) -> Outcome:
    if not folders:
        return Outcome("interrupted", None, 128 + number, "stopped before the run began; nothing was written")
    with suppress(UserError):  # how it ended matters more than that it cannot be written
        _write_status(folders[0], "interrupted", None, config, command)
    if (folders[0] / "last.pt").exists():
        word = shlex.quote(f"resume={folders[0]}")
        text = f"stopped; the last finished epoch is saved. Go on with: python -m vision2.train {word}"
    else:
        text = f"stopped; no epoch was finished. Start again with: {command}"
    return Outcome("interrupted", folders[0], 128 + number, text)


def _failed(
    folders: list[Path], config: Config, command: str, error: UserError, exit_code: int = USER_MISTAKE
) -> Outcome:
    if folders:
        with suppress(UserError):
            _write_status(folders[0], "failed", str(error), config, command)
    return Outcome("failed", folders[0] if folders else None, exit_code, str(error))


def _write_status(run_dir: Path, status: str, error: str | None, config: Config, command: str) -> None:
    """What the summary told before (a completed run may have been resumed) stays in it."""
    record, values = RunRecord(run_dir), asdict(config)
    before: dict = {}
    with suppress(OSError, ValueError):
        before = record.summary()
    told = {"status": status, "error": error, "config": values, "config_hash": config_hash(values)}
    with suppress(ValueError):  # a broken metrics.jsonl must not hide the error that is being told
        told["epochs_done"] = len(record.history())
    record.write_summary({**before, **told, **environment(), "command": command})


def _memory_advice(config: Config) -> str:
    return (
        f"out of memory with train.batch_size={config.train.batch_size or 'auto'}, dataset.image_size_px="
        f"{config.dataset.image_size_px or 'auto'}, train.precision={config.train.precision}: halve the batch size and"
        " double train.accumulate, use smaller images, or train.precision=bfloat16"
    )


def report_outcome(outcome: Outcome) -> int:
    """Tell the user how a single run ended and what to do next; returns the exit code."""
    if outcome.status != "completed":
        print(f"error: {outcome.error}" if outcome.status == "failed" else outcome.error, file=sys.stderr)
        return outcome.exit_code
    metrics = outcome.summary["metrics"]
    for split in ("val", "test"):
        if split in metrics:
            print(f"{split:5} {describe(metrics[split])}")
    if outcome.run_dir is not None:
        print(f"run folder: {outcome.run_dir}")
        print(f"curves:     tensorboard --logdir {shlex.quote(str(outcome.run_dir))}")
    return 0


def describe(metrics: dict) -> str:
    """One line with the figures that matter and how sure they are."""
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
