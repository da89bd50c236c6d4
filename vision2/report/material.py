"""The input of a report: the runs of a folder, grouped, and the files it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.written import WrittenFiles
from vision2.pictures.images import CELL_PX, save_figure
from vision2.report.document import Picture, Text
from vision2.report.figures import LINES_AT_MOST
from vision2.report.texts import Say
from vision2.runs.groups import Group
from vision2.runs.read import Problem, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WITH_PICTURES = 4  # configurations whose mistakes, maps and filters are shown


@dataclass(frozen=True)
class Material:
    """The runs, the translator `say` for all texts, and `files`, the report's own files."""

    folder: Path
    files: WrittenFiles
    runs: Sequence[Run]
    problems: Sequence[Problem]
    groups: Sequence[Group]
    language: str
    say: Say

    @cached_property
    def metric(self) -> tuple[str, str]:
        """Name and dotted key of the metric that ranks configurations: accuracy on test, else validation, else training."""
        candidates = [(f"{split} accuracy", f"metrics.{split}.accuracy") for split in ("test", "val", "train")]
        known = (found for found in candidates if any(group.values(found[1]) for group in self.groups))
        return next(known, candidates[0])

    @cached_property
    def shown(self) -> list[Group]:
        """The configurations drawn in figures: all, or the best ten, in the order they were run."""
        return self.best(LINES_AT_MOST)

    @cached_property
    def pictured(self) -> list[tuple[Group, Run]]:
        """The best configurations, each with its best run by validation accuracy."""
        return [(group, max(group.runs, key=_validation)) for group in self.best(WITH_PICTURES)]

    def best(self, count: int) -> list[Group]:
        """The best `count` configurations that have completed runs, in the order they were run."""
        _, key = self.metric
        done = [group for group in self.groups if group.runs]
        ranked = sorted(done, key=lambda group: -float(np.mean(group.values(key) or [-1.0])))[:count]
        return [group for group in done if group in ranked]

    def note(self, text: str, **values: object) -> Text:
        """A translated sentence that explains how to read the blocks around it."""
        return Text(self.say(text, **values), quiet=True)

    def picture(self, name: str, figure: Figure | None, caption: str, *, quiet: bool = True) -> list[Picture]:
        """Write a figure as `<name>.png`; return a list with the picture, or an empty list if there is no figure.

        `quiet`: the axes already say what the caption says, so that it is only the alternative text.
        """
        if figure is None:
            return []
        path = self.files.path(f"{name}.png")
        save_figure(figure, path)
        return [Picture(path, caption, quiet)]

    def copy(self, source: Path, name: str, caption: str, *, cells: int = 0) -> list[Picture]:
        """The same for a picture in a run folder: it is copied, so that the report's folder can be shared on its own.

        `cells`: how many pictures of a `captioned_grid` stay together when a narrow page wraps it; 0 if it is not a grid.
        """
        if not source.is_file():
            return []
        path = self.files.path(f"{name}.png")
        path.write_bytes(source.read_bytes())
        return [Picture(path, caption, cell=(cells * CELL_PX[0], CELL_PX[1]) if cells else None)]


def _validation(run: Run) -> float:
    return run.get("metrics.val.accuracy") or run.get("metrics.test.accuracy") or 0.0
