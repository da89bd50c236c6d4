"""Running jobs so that a failure is recorded and told, and the other jobs of a sweep go on."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from vision2.basics.errors import UserError
from vision2.basics.files import write_text
from vision2.config.command import USER_MISTAKE
from vision2.config.compose import load_config
from vision2.config.schema import Config
from vision2.config.sweep import SweepPlan
from vision2.evaluation import evaluate
from vision2.experiment import run
from vision2.runs.environment import environment
from vision2.runs.folder import check_can_write, claim_run_folder
from vision2.runs.identity import config_hash, finished_run
from vision2.runs.records import RunRecord
from vision2.runs.sweep import SweepFolder

TRACE_FILE = "error.txt"
SHARED_WITH_BEFORE = ("model", "device", "dataset.cache", "dataset.workers", "train.precision")


class Stopped(KeyboardInterrupt):
    """SIGTERM or Ctrl-C; carries the signal so that the exit code can tell which."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


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


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """SIGTERM and Ctrl-C raise `Stopped` in the main thread. Other threads cannot set handlers and go without."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame) -> None:
        raise Stopped(number)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


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


def run_before(config: Config, words: Sequence[str]) -> Path:
    """The finished run that `experiment.before` describes: an earlier one with the same settings, or made now.

    Args:
        words: what the user typed; model, image size and training settings among them hold for this run too.

    Raises:
        UserError: when that run fails.
    """
    shared = [word for word in words if word.startswith(SHARED_WITH_BEFORE)]
    own = [f"train.epochs={config.train.epochs}", f"dataset.image_size_px={config.dataset.image_size_px or 'null'}"]
    own += [f"output_dir={config.output_dir}", f"train.batch_size={config.train.batch_size or 'null'}"]
    root = [f"dataset.root={config.experiment.before_root}"] if config.experiment.before_root else []
    model = [] if any(word.startswith("model=") for word in shared) else [f"model={config.model.name}"]
    words = [*model, *shared, *own, *config.experiment.before, *root, "skip_finished=true"]
    source = load_config(words)
    done = already_finished(source)
    if done is None:
        print("\nfirst the run to transfer from: " + " ".join(words), flush=True)
        outcome = run_recorded(source, shlex.join(["python", "-m", "vision2.train", *words]))
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


def sweep_job(config: Config, command: str, folder: SweepFolder) -> float | None:
    """Run one job of a sweep and note what came of it; the validation accuracy is there for optimising sweepers.

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


def stop_if_interrupted(outcome: Outcome) -> None:
    """Whoever runs several jobs ends with the one that the user stopped.

    Raises:
        Stopped: with the signal that stopped the job.
    """
    if outcome.status == "interrupted":
        raise Stopped(outcome.exit_code - 128)


def finish_sweep(folder: SweepFolder, plan: SweepPlan) -> int:
    """Print and write the table and the report of a sweep, and name every job that failed."""
    from vision2.report import write_report

    jobs = folder.jobs()
    counts = Counter(job["status"] for job in jobs)
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    print(f"\n{len(jobs)} of {plan.jobs} jobs: {told}")
    if any(job["run"] for job in jobs):
        result = write_report(folder.path, language=plan.first.report.language)
        print(result.text)
    bad = [job for job in jobs if job["status"] in ("failed", "interrupted")]
    for job in bad:
        print(f"{job['status']}: {job['command']}: {job['error']}", file=sys.stderr)
    return 1 if bad or len(jobs) < plan.jobs else 0
