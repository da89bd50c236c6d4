"""A sweep's own folder: which runs belong to it, and how each job ended. The runs keep their own folders."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

from vision2.basics.atomic_write import append_line, write_json
from vision2.basics.errors import UserError
from vision2.basics.run_files import SWEEP_RECORD
from vision2.runs.run_folder import create_dir_by_time

SWEEPS, JOBS = "sweeps", "jobs.jsonl"
JOB_KEYS = {"command", "status", "error", "run"}


def create_sweep_dir(output_dir: Path) -> Path:
    """Create and return a new `<output_dir>/sweeps/<time>-<id>/`.

    Raises:
        UserError: if the folder cannot be created there.
    """
    return create_dir_by_time(output_dir.expanduser() / SWEEPS, "folder")


class SweepFolder:
    """The record of a sweep: one line per job is appended, so that jobs in one or several processes can share it.

    A job that cannot be written (the disk is full) is kept in memory for the table at the end of the sweep.
    """

    def __init__(self, path: Path):
        self.path = path
        self._unwritten: list[dict] = []

    def describe(self, command: str, experiment: dict, source: Path | None = None, *, jobs: int | None = None) -> None:
        """Record the command that repeats the sweep, its experiment (reused runs may name another one) and its job count.

        Args:
            source: the run that the jobs transfer from, if the experiment trains one first.
            jobs: how many jobs the sweep has.
        """
        what = {"command": command, "experiment": experiment, "source": str(source) if source else None, "jobs": jobs}
        write_json(self.path / SWEEP_RECORD, what)

    def description(self) -> dict:
        """{"command", "experiment", "source", "jobs"} as recorded; {} if the folder is not a sweep's."""
        with suppress(OSError, ValueError):
            found = json.loads((self.path / SWEEP_RECORD).read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        return {}

    def add(self, job: dict) -> None:
        """Record a job: its number, command, status, error and run (the run folder, or None)."""
        try:
            append_line(self.path / JOBS, json.dumps(job, ensure_ascii=False))
        except UserError as error:
            print(f"warning: {error}", file=sys.stderr, flush=True)
            self._unwritten.append(job)

    def jobs(self) -> list[dict]:
        """The jobs recorded so far; a line that a kill left incomplete, or that is no job, is ignored."""
        file, found = self.path / JOBS, []
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            with suppress(ValueError):
                found.append(json.loads(line))
        return [job for job in found if _is_job(job)] + self._unwritten


def _is_job(job: object) -> bool:
    return isinstance(job, dict) and job.keys() >= JOB_KEYS and isinstance(job["run"], str | None)
