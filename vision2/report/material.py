"""What a report is made of: the runs of a folder, grouped, and where its pictures go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision2.pictures.images import save_figure
from vision2.report.document import Picture
from vision2.report.figures import LINES_AT_MOST, metric_of
from vision2.report.texts import Say
from vision2.runs.read import Problem, Run
from vision2.runs.table import Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WITH_PICTURES = 4  # configurations whose mistakes, maps and filters are shown


@dataclass(frozen=True)
class Material:
    """Runs and how to speak of them; `out` is the report's own folder."""

    folder: Path
    out: Path
    runs: Sequence[Run]
    problems: Sequence[Problem]
    groups: Sequence[Group]
    language: str
    say: Say

    @cached_property
    def metric(self) -> tuple[str, str]:
        """Dotted key and name of the number that ranks configurations."""
        return metric_of(self.groups)

    @cached_property
    def shown(self) -> list[Group]:
        """Configurations with their own lines in figures: all, or the best ten, in the order they were run."""
        return self.best(LINES_AT_MOST)

    @cached_property
    def pictured(self) -> list[tuple[Group, Run]]:
        """The best configurations with their best run, chosen by validation."""
        return [(group, max(group.runs, key=_validation)) for group in self.best(WITH_PICTURES)]

    def best(self, count: int) -> list[Group]:
        """The best configurations, in the order they were run."""
        key, _ = self.metric
        done = [group for group in self.groups if group.runs]
        ranked = sorted(done, key=lambda group: -float(np.mean(group.values(key) or [-1.0])))[:count]
        return [group for group in done if group in ranked]

    def picture(self, name: str, figure: Figure | None, caption: str) -> list[Picture]:
        """Write a figure as `<name>.png`: a list of one, or of none for no figure, so that galleries can be added up."""
        if figure is None:
            return []
        path = self.out / f"{name}.png"
        save_figure(figure, path)
        return [Picture(path, caption)]


def _validation(run: Run) -> float:
    return run.get("metrics.val.accuracy") or run.get("metrics.test.accuracy") or 0.0
