"""Read run folders. A broken one is reported and skipped; it never keeps the others from being read."""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vision2.basics.run_files import CONFIG, EPISODES, METRICS, SUMMARY
from vision2.runs.expected import unexpected_entry
from vision2.runs.records import look_up, read_history
from vision2.runs.run_folder import is_locked
from vision2.runs.sweep_folder import JOBS, SweepFolder

RUNNING, DIED = "running", "died"
STATUSES = ("completed", "failed", "interrupted", DIED)


class Problem(NamedTuple):
    """A folder that could not be read, and the reason in a few words."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Run:
    """A run that has ended, completed or not. Its history is read on first use."""

    path: Path
    summary: dict

    @property
    def config(self) -> dict:
        return self.summary["config"]

    @property
    def completed(self) -> bool:
        return self.summary["status"] == "completed"

    @property
    def seed(self) -> int | None:
        return self.get("seed")

    @property
    def started(self) -> str:
        """`2026-11-26 09:00`, from the name of the folder or, if it was renamed, the time of its summary file."""
        with suppress(ValueError):
            return f"{datetime.strptime(self.path.name[:15], '%Y%m%d-%H%M%S'):%Y-%m-%d %H:%M}"
        return f"{datetime.fromtimestamp((self.path / SUMMARY).stat().st_mtime):%Y-%m-%d %H:%M}"

    @cached_property
    def history(self) -> list[dict]:
        """Epoch records; [] if the file is missing or broken (`read_runs` reports a broken one)."""
        try:
            return read_history(self.path / METRICS)
        except (OSError, ValueError):
            return []

    def episodes(self, kind: str) -> list[float]:
        """The accuracy in each test episode of one kind, such as `5-way_1-shot`; [] if the file is missing or broken."""
        try:
            with np.load(self.path / EPISODES, allow_pickle=False) as found:
                return found[kind].tolist()
        except (OSError, ValueError, KeyError):
            return []

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a dotted key of the configuration (`model.name`) or else of the summary (`metrics.test.accuracy`)."""
        found = (look_up(source, key) for source in (self.config, self.summary))
        return next((value for value in found if value is not None), default)

    def number(self, key: str) -> float | None:
        """Like `get`, but None unless the value is a number that is neither NaN nor infinite."""
        return as_number(self.get(key))


def as_number(value: Any) -> float | None:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if numeric and math.isfinite(value) else None


def read_runs(folder: str | Path) -> tuple[list[Run], list[Problem]]:
    """Every run below `folder` (for a sweep's folder, the runs of its jobs), and the folders that are broken or unfinished."""
    folder = Path(folder)
    if not (folder / JOBS).exists():
        return read_run_folders(run_folders(folder))
    jobs = SweepFolder(folder).jobs()
    ended = {_moved(folder, Path(job["run"])): job for job in jobs if job["run"]}
    runs, problems = read_run_folders(ended)
    for run in runs:
        if run.summary["status"] == DIED and (job := ended[run.path])["status"] in STATUSES:  # the disk was full
            run.summary.update(status=job["status"], error=job["error"])
    for job in jobs:
        if not job["run"]:
            problems.append(Problem(Path(job["command"]), f"{job['status']} before it began: {job['error']}"))
    return runs, problems


def read_run_folders(folders: Iterable[str | Path]) -> tuple[list[Run], list[Problem]]:
    """The runs of exactly these folders."""
    runs, problems = [], []
    for path in map(Path, folders):
        try:
            runs.append(_read_run(path))
        except ValueError as error:
            problems.append(Problem(path, str(error)))
        except OSError as error:
            problems.append(Problem(path, f"cannot be read: {error.strerror or error}"))
    return runs, problems


def run_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders that runs wrote, sorted by name; their subfolders are not searched."""
    for here, below, files in os.walk(folder):
        if SUMMARY in files or CONFIG in files or METRICS in files:
            below.clear()
            yield Path(here)
        below.sort()


def _moved(sweep: Path, run_dir: Path) -> Path:
    """The run folder as recorded or, if the whole output folder has been moved or copied, its new place."""
    beside = sweep.parent.parent.joinpath(*run_dir.parts[-3:])  # <output_dir>/sweeps/<sweep> and <output_dir>/a/b/<run>
    return beside if not run_dir.exists() and beside.exists() else run_dir


def _read_run(path: Path) -> Run:
    file = path / SUMMARY
    if not file.exists():
        raise ValueError(f"no {SUMMARY}: the run was killed before it began, or an earlier version is still running it")
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{SUMMARY} is not valid JSON") from error
    if not isinstance(summary, dict) or not isinstance(summary.get("config"), dict):
        raise ValueError(f"{SUMMARY} contains no configuration")
    if summary.get("status") == RUNNING:
        summary |= _died(path, summary)
    if summary.get("status") not in STATUSES:
        raise ValueError(f"{SUMMARY} has the unknown status {summary.get('status')!r}")
    if wrong := unexpected_entry(summary):
        raise ValueError(f"{SUMMARY} has an unexpected {wrong}; read it with the version of vision2 that wrote it")
    metrics = summary.get("metrics")
    if summary["status"] == "completed" and not (isinstance(metrics, dict) and any(_splits(metrics))):
        raise ValueError(f"{SUMMARY} says completed but contains no metrics")
    run = Run(path, summary)
    read_history(path / METRICS)  # raises if a line is broken; not kept, so that hundreds of runs fit in memory
    return run


def _died(path: Path, summary: dict) -> dict:
    """The status and error of a run whose summary still says running although its process has died.

    Raises:
        ValueError: if the run is still running, or that cannot be ruled out.
    """
    held = is_locked(path)
    process = summary.get("process") or {}
    if held is not False:
        doubt = "" if held else " or was killed"
        raise ValueError(
            f"still running{doubt} (process {process.get('pid')} on {process.get('host')} since {process.get('started')})"
        )
    resume = shlex.join(["python", "-m", "vision2.train", f"resume={path}"])
    return {"status": DIED, "error": f"its process was killed or crashed without a message; resume it with: {resume}"}


def _splits(metrics: dict) -> Iterator[bool]:
    return (isinstance(metrics.get(split), dict) and bool(metrics[split]) for split in ("test", "val", "train"))
