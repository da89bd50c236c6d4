"""What a process sets before torch is loaded: an allocator that keeps freed memory, and threads that leave the
processor to other programs while they wait.

Variables that the user has set are respected, so each of them is also the switch that turns a setting off.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

# glibc returns large freed blocks to the kernel, so every layer's output is mapped, zeroed and faulted in anew.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h
KEEP_ALL = 2**31 - 1
ALLOCATOR_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")
# Threads of OpenMP wait for work in a loop of 300,000 turns, which takes the processor from every other program.
WAITING_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
TURNS = "1000"


def prepare_process() -> None:
    """Prepare this process for torch; call it before torch is imported."""
    keep_freed_memory()
    if not any(name in os.environ for name in WAITING_VARIABLES):
        os.environ["GOMP_SPINCOUNT"] = TURNS


@contextmanager
def importing() -> Iterator[None]:
    """Import large libraries without the garbage collector, which otherwise takes a seventh of the time of `import torch`.

    It looks again and again through objects that live until the process ends; after this, it no longer does. Use it once,
    at the start: garbage that is not collected yet would also be kept for ever.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def process_settings() -> dict[str, str]:
    """What is set in this process, for the record of a run."""
    names = ("OMP_NUM_THREADS", *WAITING_VARIABLES, *ALLOCATOR_VARIABLES)
    found = {name: os.environ[name] for name in names if name in os.environ}
    return found | {"freed memory": "kept" if keep_freed_memory() else "returned"}


def keep_freed_memory() -> bool:
    """Let malloc reuse freed memory instead of returning it to the kernel; False where that is not glibc's choice."""
    if any(name in os.environ for name in ALLOCATOR_VARIABLES):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc: macOS, musl, Windows
        return False
    return bool(set_option(M_TRIM_THRESHOLD, KEEP_ALL) and set_option(M_MMAP_MAX, 0))
