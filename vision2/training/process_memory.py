"""Peak memory per job, so that a job of a sweep does not report the memory used by an earlier one."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path

import torch


def reset_peak_memory() -> None:
    """Free the memory of earlier jobs and reset the peak; call this when a job starts."""
    gc.collect()
    gc.freeze()  # what is alive between jobs is modules and their like, half a second's work for every later collection
    with suppress(AttributeError, OSError, TypeError):  # glibc only: it keeps freed memory, which would stay resident
        ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux only; see clear_refs in proc(5)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory since the last reset, in 10^6 bytes: allocated memory on CUDA, resident memory elsewhere.

    On systems other than Linux, the resident peak cannot be reset and is that of the whole process.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
