"""The status in a run's summary, recorded from the start, so that even a killed run can be identified."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from datetime import datetime

from vision2.basics.errors import UserError
from vision2.runs.environment import environment
from vision2.runs.read import RUNNING
from vision2.runs.records import RunRecord


def begin(record: RunRecord, config: dict, command: str, *, resumed: bool) -> None:
    """Record that a process is training here. Unless the run is resumed, delete what an earlier attempt left.

    Raises:
        UserError: if the run folder cannot be written to.
    """
    if not resumed:
        record.remove_earlier_attempt()
    record.write_config(config | {"resume": None})
    process = {"pid": os.getpid(), "host": platform.node(), "started": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
    write_status(record, RUNNING, config, command, process=process)


def write_status(
    record: RunRecord,
    status: str,
    config: dict,
    command: str,
    *,
    error: str | None = None,
    process: dict | None = None,
) -> None:
    """Update the summary; its other entries are kept (a completed run may have been resumed).

    Raises:
        UserError: if the summary cannot be written.
    """
    before = {}
    with suppress(OSError, ValueError):
        before = record.summary()
    now = {"status": status, "error": error, "config": config, "process": process}
    with suppress(ValueError):  # a broken metrics.jsonl must not hide the error that is being reported
        now["epochs_done"] = len(record.history())
    record.write_summary({**before, **now, **environment(), "command": command})


def record_end(record: RunRecord, status: str, config: dict, command: str, error: str | None) -> None:
    """Like `write_status`, but a summary that cannot be written does not hide how the run ended."""
    with suppress(UserError):
        write_status(record, status, config, command, error=error)
