"""Run Python for a benchmark, and measure the process as a user would: from the command to its end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

ENVIRONMENT = dict(os.environ)  # before this process is prepared as a command of ours is: baselines must not inherit that


class Process(NamedTuple):
    seconds: float
    memory_mb: float  # peak of the process itself, without its workers
    lines: list[str]  # that it printed
    first_epoch: float | None  # seconds until it printed the line of its first epoch


def run_python(*arguments: object) -> Process:
    """Run Python with these arguments; exit with its error output if it fails."""
    command = [sys.executable, *map(str, arguments)]
    start, lines, first_epoch = time.perf_counter(), [], None
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=ENVIRONMENT)
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if first_epoch is None and re.match(r"epoch 1/\d+ ", line):
                first_epoch = time.perf_counter() - start
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            errors.seek(0)
            sys.exit(f"failed: {' '.join(command)}\n{errors.read()}")
    return Process(seconds, usage.ru_maxrss / 1024, lines, first_epoch)
