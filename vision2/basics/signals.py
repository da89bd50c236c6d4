"""Turn Ctrl-C and SIGTERM into one exception, so that a run can record how it ended."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

RESEND_AFTER_S = 0.05
STOPPING = (signal.SIGTERM, signal.SIGINT)


class Stopped(KeyboardInterrupt):
    """SIGTERM or Ctrl-C; carries the signal number, from which the exit code follows."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `Stopped` in the main thread on SIGTERM and Ctrl-C; other threads cannot set handlers, so there nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame) -> None:
        raise Stopped(number)

    previous = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        with _resending_lost_signals():
            yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def ending_soon(seconds: float) -> Iterator[None]:
    """End the process some seconds after SIGTERM or Ctrl-C, even if it waits in foreign code, where Python raises nothing."""
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    previous = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        number = next((byte for byte in iter(lambda: reading.recv(1), b"") if ord(byte) in STOPPING), None)
        if number and not over.wait(seconds):
            os._exit(128 + ord(number))

    over = threading.Event()
    threading.Thread(target=watch, daemon=True, name="ending").start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        over.set()
        writing.close()


@contextmanager
def _resending_lost_signals() -> Iterator[None]:
    """Send a signal again if Python ignored its exception, as it does in a destructor or a weak reference's callback."""
    report, timers = sys.unraisablehook, []

    def resend(ignored: sys.UnraisableHookArgs) -> None:
        if not isinstance(ignored.exc_value, Stopped):
            report(ignored)
            return
        timers.append(threading.Timer(RESEND_AFTER_S, os.kill, (os.getpid(), ignored.exc_value.number)))
        timers[-1].start()

    sys.unraisablehook = resend
    try:
        yield
        for timer in timers:  # inside the block, so that no signal arrives after its handler is gone
            timer.join()
    finally:
        sys.unraisablehook = report
