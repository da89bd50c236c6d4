"""How many processors there are to use, and work in threads, with results in order and not far ahead of their use."""

from __future__ import annotations

import math
import os
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")
SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: "microseconds per period", or "max period"


def usable_cpus() -> int:
    """The number of CPUs this process may use: a container often has fewer than the machine, by affinity or by quota."""
    return max(1, min(len(_allowed()), _quota()))


def usable_cores() -> int:
    """The same in physical cores: two threads of one core compete for its arithmetic units."""
    cores = set()
    for cpu in _allowed():
        try:
            cores.add(Path(SIBLINGS.format(cpu)).read_text(encoding="utf-8"))
        except OSError:  # not Linux, or hidden in a sandbox: each CPU counts
            cores.add(str(cpu))
    return max(1, min(len(cores), _quota()))


def _allowed() -> Collection[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def _quota() -> int:
    """How many CPUs the quota amounts to, rounded up."""
    try:
        limit, period = QUOTA.read_text(encoding="utf-8").split()
        return sys.maxsize if limit == "max" else math.ceil(int(limit) / int(period))
    except (OSError, ValueError):
        return sys.maxsize


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int, name: str
) -> Iterator[Result]:
    """Like `map` in threads, with at most `ahead` items in progress or waiting; closing the iterator stops the threads."""
    pool, waiting = ThreadPoolExecutor(threads, name), deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
