"""Where and how a run was produced: versions, processor, state of the source tree, the exact command."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from vision2.basics.process import process_settings
from vision2.basics.threads import usable_cpus

PACKAGES = (
    "vision2", "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "matplotlib", "tensorboard",
    "hydra-core", "omegaconf", "safetensors", "pillow", "tqdm", "onnxruntime",
)  # fmt: skip


def environment() -> dict:
    """What a reader needs to judge a result: {"versions", "platform", "processor", "cpus", "runtime", "git", "command"}."""
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "processor": processor_name(),
        "cpus": usable_cpus(),
        "runtime": process_settings(),
        "git": git_state(),
        "command": command_line(),
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def processor_name() -> str:
    """The model of the processor: `platform.processor()` says only "x86_64" on Linux."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@cache
def git_state(folder: str | None = None) -> dict | None:
    """{"commit", "dirty"} of the source tree in use; None outside a repository (an installed wheel) or without git."""
    source = Path(folder) if folder else Path(__file__).resolve().parents[2]
    # An installed copy may be inside another repository; only a tree with a pyproject.toml is ours.
    if folder is None and not (source / "pyproject.toml").exists():
        return None
    try:
        commit = _git(source, "rev-parse", "HEAD")
        dirty = bool(_git(source, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": dirty}


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def command_line() -> str:
    """The command of this process, quoted for a shell."""
    module = getattr(getattr(sys.modules.get("__main__"), "__spec__", None), "name", None)
    module = module if module and module.startswith("vision2.") else "vision2.train"
    return shlex.join(["python", "-m", module, *sys.argv[1:]])
