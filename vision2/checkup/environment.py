"""Checks of the machine: processor, memory, disks and other programs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

from vision2.basics.safe_text import printable
from vision2.basics.threads import usable_cores, usable_cpus
from vision2.checkup.finding import Finding, judged, worst
from vision2.runs.environment import processor_name, versions

PART = "environment"
LITTLE_GB, TOO_LITTLE_GB = 2.0, 0.3  # of memory or disk: a run of a small network writes and holds less than the second
WATCHED_S = 0.4
BUSY_CORES = 0.5  # of other programs: with half a core gone, timings are no longer comparable
PROC = Path("/proc")


def check_environment(*, device: torch.device, precision: str, output_dir: Path, cache_dir: Path) -> list[Finding]:
    """All checks of the machine."""
    found = [
        check_device(device, precision),
        check_threads(torch.get_num_threads(), cores=usable_cores(), cpus=usable_cpus(), device=device.type),
        check_space("memory", "available memory", memory_gb(), "close other programs, or lower train.batch_size"),
        check_space("disk", f"free at {output_dir}", disk_gb(output_dir), "free some space, or set output_dir to another disk"),
        check_space("cache", f"free at {cache_dir}", disk_gb(cache_dir), "free some space, or set dataset.cache_dir"),
        check_cache_writable(cache_dir),
        check_versions(versions()),
        check_others(busy_programs(WATCHED_S)),
    ]
    return [finding for finding in found if finding is not None]


def check_device(device: torch.device, precision: str) -> Finding:
    unused = device.type == "cpu" and torch.cuda.is_available()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    return judged(
        PART, "device and precision", worst(False, unused),
        seen=f"{device} ({name}), {precision}" + (", although a GPU is available" if unused else ""),
        why="a GPU trains most networks ten times as fast or more",
        todo="leave out device=cpu, or set device=cuda",
    )  # fmt: skip


def check_threads(threads: int, *, cores: int, cpus: int, device: str) -> Finding:
    return judged(
        PART, "threads", worst(False, device == "cpu" and threads > cpus),
        seen=f"{threads} threads, {cores} cores, {cpus} CPUs to use",
        why="more threads than processors wait for each other in every layer",
        todo=f"set OMP_NUM_THREADS={cores}, or leave it out",
    )  # fmt: skip


def check_space(name: str, where: str, gb: float | None, todo: str) -> Finding | None:
    """Memory or disk; None if the system does not tell."""
    if gb is None:
        return None
    return judged(
        PART, name, worst(gb < TOO_LITTLE_GB, gb < LITTLE_GB),
        seen=f"{gb:.1f} GB {where}", why="a run that finds no memory or disk space stops in the middle", todo=todo,
    )  # fmt: skip


def check_cache_writable(folder: Path) -> Finding:
    writable = os.access(_existing(folder), os.W_OK)
    return judged(
        PART, "cache can be written", worst(False, not writable),
        seen=f"{folder} {'can' if writable else 'cannot'} be written",
        why="without the cache, every run decodes all images and computes all features again",
        todo="set dataset.cache_dir to a folder of your own",
    )  # fmt: skip


def check_versions(found: dict[str, str]) -> Finding:
    shown = ", ".join(f"{name} {found[name]}" for name in ("python", "torch", "torchvision", "timm") if name in found)
    missing = [name for name in ("torch", "torchvision") if name not in found]
    return judged(
        PART, "versions", worst(bool(missing)), seen=shown, why="results differ a little between versions of these libraries",
        todo=f"install {' and '.join(missing)}",
    )  # fmt: skip


def check_others(busy: dict[str, float] | None) -> Finding | None:
    """`busy` maps other programs to the cores they use; None where that cannot be read."""
    if busy is None:
        return None
    cores, names = sum(busy.values()), sorted(busy, key=busy.__getitem__, reverse=True)[:3]
    shown = ", ".join(f"{printable(name)} {busy[name]:.1f}" for name in names if busy[name] >= 0.1)
    return judged(
        PART, "other programs", worst(False, cores >= BUSY_CORES),
        seen=f"other programs use {cores:.1f} cores" + (f" ({shown})" if shown else ""),
        why="a program on the same cores slows training down several times, and makes its timings worthless",
        todo="wait until it has finished, or stop it",
    )  # fmt: skip


def memory_gb() -> float | None:
    """Memory that can be used without swapping."""
    with suppress(OSError, ValueError, IndexError):
        for line in (PROC / "meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024 / 1e9
    return None


def disk_gb(folder: Path) -> float:
    return shutil.disk_usage(_existing(folder)).free / 1e9


def busy_programs(seconds: float) -> dict[str, float] | None:
    """{name: cores in use} of the other processes, watched for `seconds`; None outside Linux."""
    before = dict(_ticks())
    if not before:
        return None
    time.sleep(seconds)
    per_core, found = os.sysconf("SC_CLK_TCK") * seconds, {}
    for (pid, name), ticks in _ticks():
        used = (ticks - before.get((pid, name), ticks)) / per_core
        if pid != os.getpid() and used > 0:
            found[name] = found.get(name, 0.0) + used
    return found


def _ticks() -> Iterator[tuple[tuple[int, str], int]]:
    """((process, name), processor time in clock ticks): fields 14 and 15 of /proc/PID/stat (man 5 proc)."""
    for folder in PROC.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            name, _, rest = (folder / "stat").read_text(encoding="utf-8", errors="replace").partition("(")[2].rpartition(")")
            fields = rest.split()
            yield (int(folder.name), name), int(fields[11]) + int(fields[12])


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.expanduser().absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())
