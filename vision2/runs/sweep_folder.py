"""A sweep's own folder: which runs belong to it, and how each job ended. The runs themselves stay where runs live."""

from __future__ import annotations

import contextlib
import json
import secrets
from datetime import datetime
from pathlib import Path

from vision2.basics.atomic_write import write_json
from vision2.basics.errors import UserError

SWEEPS, JOBS, WHAT = "sweeps", "jobs.jsonl", "sweep.json"


def create_sweep_dir(output_dir: Path) -> Path:
    """Create and return a new `<output_dir>/sweeps/<time>-<id>/`.

    Raises:
        UserError: when the folder cannot be created there.
    """
    path = output_dir.expanduser() / SWEEPS / f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"cannot create a folder in {path.parent}: {error.strerror}; set output_dir=FOLDER") from error
    return path.resolve()


class SweepFolder:
    """Appends one line per job, so that jobs of one process or of many can share it."""

    def __init__(self, path: Path):
        self.path = path

    def describe(self, command: str, experiment: dict, source: Path | None = None) -> None:
        """Record the command that repeats the sweep, its claim (a run reused as finished may state another), its `source`.

        `source`: the run that the jobs transfer from, where an experiment trains one first.
        """
        what = {"command": command, "experiment": experiment, "source": str(source) if source else None}
        write_json(self.path / WHAT, what)

    def description(self) -> dict:
        """{"command", "experiment", "source"} as recorded; {} for a folder that is not a sweep's."""
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.path / WHAT).read_text(encoding="utf-8"))
        return {}

    def add(self, job: dict) -> None:
        """`job` holds command, status, error and run (the run folder, or None)."""
        with (self.path / JOBS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(job, ensure_ascii=False) + "\n")

    def jobs(self) -> list[dict]:
        """The jobs recorded so far; a line cut off by a kill is ignored."""
        file, found = self.path / JOBS, []
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found
