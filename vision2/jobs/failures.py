"""Explain in one sentence why a job failed: out of memory, a full disk, or an internal error and where its traceback is."""

from __future__ import annotations

import errno
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from vision2.basics.atomic_write import write_text
from vision2.basics.errors import UserError, is_disk_full
from vision2.basics.safe_text import printable
from vision2.config.schema import Config
from vision2.runs.records import ERROR
from vision2.training.precision import could_use_bfloat16

# Messages of allocators that raise a plain RuntimeError: CPU (Linux, Windows), MPS, CUDA and its libraries.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "MPS backend out of memory",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def explain(error: Exception, config: Config) -> str | None:
    """The sentence for a problem that the user can solve; None for an internal error."""
    if isinstance(error, UserError):
        return str(error)
    if is_out_of_memory(error):
        return _memory_advice(config)
    if is_disk_full(error):
        return f"the disk is full ({error.strerror}): free some space, or use another disk (output_dir, dataset.cache_dir)"
    if isinstance(error, PermissionError) and error.filename:
        return f"{error.filename}: {error.strerror}; change its permissions or use another path"
    return None


@contextmanager
def no_thread_tracebacks() -> Iterator[None]:
    """Keep threads from printing a traceback for a full disk: TensorBoard's writer also reports it to the main thread."""
    previous = threading.excepthook

    def report(thread: threading.ExceptHookArgs) -> None:
        if thread.exc_value is None or not is_disk_full(thread.exc_value):
            previous(thread)

    threading.excepthook = report
    try:
        yield
    finally:
        threading.excepthook = previous


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY):
        return True
    no_memory = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return no_memory or isinstance(error, MemoryError | torch.OutOfMemoryError)


def _memory_advice(config: Config) -> str:
    """Only advice that this job can follow: an evaluation keeps the image size and the number format of its checkpoint."""
    train, trains = config.train, config.mode == "train"
    advice = []
    if train.batch_size is None:
        advice.append("set a smaller train.batch_size")
    elif train.batch_size > 1:
        accumulate = f" with train.accumulate={2 * train.accumulate}" if trains else ""
        advice.append(f"set train.batch_size={train.batch_size // 2}{accumulate}")
    if trains:
        advice.append("use smaller images")
    if config.dataset.cache == "memory":
        advice.append("set dataset.cache=disk")
    if trains and could_use_bfloat16(config.device, train.precision):
        advice.append("set train.precision=bfloat16")
    *some, last = advice or ["use a device with more memory"]
    return (
        f"out of memory with train.batch_size={train.batch_size or 'auto'}, dataset.image_size_px="
        f"{config.dataset.image_size_px or 'auto'}, train.precision={train.precision}: "
        + (f"{', '.join(some)} or {last}" if some else last)
    )


def internal_error(error: Exception, run_dir: Path | None) -> str:
    """The sentence for an internal error; its traceback is written to the run folder or else to a new temporary file."""
    text = f"internal error: {type(error).__name__}: {printable(' '.join(str(error).split())[:300])}"
    trace = "".join(traceback.format_exception(error))
    if run_dir is not None:
        with suppress(UserError):
            write_text(run_dir / ERROR, trace)
            return f"{text} (traceback in {run_dir / ERROR})"
    with suppress(OSError):
        new = {"prefix": "vision2-error-", "suffix": ".txt", "dir": tempfile.gettempdir(), "delete": False}
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", errors="backslashreplace", **new) as stream:
            stream.write(trace)
        return f"{text} (traceback in {stream.name})"
    return f"{text} (its traceback could not be written)"
