"""Print one line per job of a sweep whose jobs run in separate processes, each with its own log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from threading import Event, Thread

from vision2.runs.sweep_folder import SweepFolder

POLL_S = 0.5


@contextmanager
def printing_ends(folder: SweepFolder, total: int) -> Iterator[None]:
    """Print a line for each job that ends while the block runs."""
    over = Event()

    def follow() -> None:
        shown = 0
        while True:
            last = over.wait(POLL_S)
            jobs = folder.jobs()
            for job in jobs[shown:]:
                shown += 1
                error = f": {job['error']}" if job["error"] else ""
                print(f"{shown} of {total} jobs ended: job {job['number']} {job['status']}{error}", flush=True)
            if last:
                return

    thread = Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def output_to(file: Path) -> Iterator[None]:
    """Redirect everything printed to `file`, line by line."""
    with file.open("a", encoding="utf-8", buffering=1) as stream, redirect_stdout(stream), redirect_stderr(stream):
        yield
