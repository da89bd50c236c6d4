"""Ctrl-C and SIGTERM as one exception, so that a run can record how it ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

AGAIN_S = 0.05


class Stopped(KeyboardInterrupt):
    """SIGTERM or Ctrl-C; carries the signal number, from which the exit code follows."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """SIGTERM and Ctrl-C raise `Stopped` in the main thread. Other threads cannot set handlers and go without."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame) -> None:
        raise Stopped(number)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with _sending_lost_ones_again():
            yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _sending_lost_ones_again() -> Iterator[None]:
    """Python ignores what is raised in a destructor or a weak reference's callback; a signal that meets one comes again."""
    report, timers = sys.unraisablehook, []

    def again(ignored: sys.UnraisableHookArgs) -> None:
        if not isinstance(ignored.exc_value, Stopped):
            report(ignored)
            return
        timers.append(threading.Timer(AGAIN_S, os.kill, (os.getpid(), ignored.exc_value.number)))
        timers[-1].start()

    sys.unraisablehook = again
    try:
        yield
        for timer in timers:  # within the block, so that none arrives when its handler has gone
            timer.join()
    finally:
        sys.unraisablehook = report
