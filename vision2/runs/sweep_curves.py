"""Link a sweep's runs into its folder under readable names, so that TensorBoard opened there shows exactly these runs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vision2.runs.groups import group_runs, setting_in_words
from vision2.runs.read import Run
from vision2.runs.records import EVENTS

NAMED_BY_ALL = ("model.name", "strategy.name")


def link_curves(folder: Path, runs: Sequence[Run]) -> list[str]:
    """Link each run with events into a sweep's folder, named by model, strategy, other differing settings and seed.

    If links cannot be created, the event files are copied. Returns the names.
    """
    ours = {run.path.resolve() for run in runs}
    for link in folder.iterdir():
        if link.is_symlink() and link.resolve() in ours:  # made when fewer of the sweep's runs had finished
            link.unlink()
    names = []
    for name, run in curve_names(runs).items():
        if any(run.path.glob(EVENTS)):
            _link(folder / name, run.path)
            names.append(name)
    return names


def link_started(folder: Path, name: str, run_dir: Path) -> None:
    """Link a run into the sweep's folder while it trains; `link_curves` gives it its final name when the sweep ends."""
    with suppress(OSError, NotImplementedError):
        (folder / _safe(name)).symlink_to(os.path.relpath(run_dir, folder), target_is_directory=True)


def curve_names(runs: Sequence[Run]) -> dict[str, Run]:
    """A name for each run: `resnet20-scratch-lr=0.1-seed0`; runs with the same name are numbered."""
    named: dict[str, Run] = {}
    for group in group_runs(runs):
        keys = [*NAMED_BY_ALL, *(key for key in group.named_by if key not in NAMED_BY_ALL)]
        for run in [*group.runs, *group.failed, *group.superseded]:
            words = [setting_in_words(key, run.get(key)) for key in keys]
            name = _safe("-".join([*words, f"seed{run.seed}"]))
            number = next(n for n in range(1, len(runs) + 2) if (name if n == 1 else f"{name}-{n}") not in named)
            named[name if number == 1 else f"{name}-{number}"] = run
    return named


def _safe(name: str) -> str:
    return re.sub(r"[^\w.=+-]+", "_", name)


def _link(link: Path, run_dir: Path) -> None:
    with suppress(OSError):  # the curves are still in the run folder itself
        try:
            # relative, so that the output folder can be moved as a whole
            link.symlink_to(os.path.relpath(run_dir, link.parent), target_is_directory=True)
        except FileExistsError:  # never copy into a folder of the same name
            return
        except (OSError, ValueError, NotImplementedError):  # Windows without permission to create links, or another drive
            link.mkdir(exist_ok=True)
            for events in run_dir.glob(EVENTS):
                shutil.copy2(events, link)
