"""Tables with one row per configuration: n, mean, standard deviation and 95 % interval over seeds, and failed runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from vision2.basics import text_table
from vision2.basics.atomic_write import write_text
from vision2.basics.text_table import as_markdown, as_text
from vision2.basics.written import WrittenFiles
from vision2.report.scores import cell, covers, estimate, what_ran
from vision2.report.texts import Say, untranslated
from vision2.runs.groups import Group, varying_keys
from vision2.stats.intervals import Estimate

COLUMNS = (
    ("test accuracy", "metrics.test.accuracy"),
    ("val accuracy", "metrics.val.accuracy"),
    ("train accuracy", "metrics.train.accuracy"),
    ("test balanced accuracy", "metrics.test.balanced_accuracy"),
    ("test macro F1", "metrics.test.macro_f1"),
    ("test loss", "metrics.test.loss"),
    ("parameters", "parameters"),
    ("multiply-adds", "multiply_adds"),
    ("seconds", "seconds"),
    ("training images/s", "images_per_second"),
    ("peak memory MB", "peak_memory_mb"),
)
PRINTED = tuple(column for column in COLUMNS if column[0] in ("train accuracy", "seconds"))
RANKED_BY = ("test accuracy", "metrics.test.accuracy")
FAILED_SEED = {status: f"seed {{seed}} ({status})" for status in ("failed", "interrupted", "died")}
TABLE_FILES = ("table.csv", "table.md")


class Grid(NamedTuple):
    """A table of formatted text."""

    headings: list[str]
    rows: list[list[str]]

    def beside(self, other: Grid) -> Grid:
        """This table with the columns of another one to its right."""
        return Grid(self.headings + other.headings, [a + b for a, b in zip(self.rows, other.rows, strict=True)])


def ranking(groups: Sequence[Group], metric: tuple[str, str], say: Say = untranslated, *, ran: bool = True) -> Grid:
    """The main columns: what ran (unless `ran` is False), n, the metric with its interval, and what the interval covers."""
    name, key = metric
    headings = [say("configuration"), *([say("network, weights, data")] if ran else []), "n", say(name), say("interval covers")]
    rows = []
    for group in groups:
        about = [what_ran((group.runs or group.failed)[0], say)] if ran else []
        rows.append([group.label, *about, str(len(group.runs)), cell(group, key, say), covers(group, key, say)])
    return Grid(headings, rows)


def measurements(groups: Sequence[Group], columns: Sequence[tuple[str, str]], say: Say = untranslated) -> Grid:
    """The `columns` (heading, dotted key) that any run has a value for, and the failed seeds, if any."""
    columns = [(name, key) for name, key in columns if any(group.values(key) for group in groups)]
    grid = Grid([say(name) for name, _ in columns], [[cell(group, key, say) for _, key in columns] for group in groups])
    if not any(group.failed for group in groups):
        return grid
    return grid.beside(Grid([say("failed")], [[_failed(group, say)] for group in groups]))


def episodes(groups: Sequence[Group], say: Say = untranslated) -> Grid | None:
    """The test accuracy of each kind of episode; None if no run was measured on episodes."""
    found = [run.get("metrics.test") or {} for group in groups for run in group.runs]
    kinds = dict.fromkeys(
        kind for metrics in found for kind, value in metrics.items() if isinstance(value, dict) and "episodes" in value
    )
    if not kinds:
        return None
    rows = [[cell(group, f"metrics.test.{kind}.accuracy", say) for kind in kinds] for group in groups]
    return named(groups, say).beside(Grid([kind.replace("_", " ") for kind in kinds], rows))  # in English in papers in Spanish


def named(groups: Sequence[Group], say: Say = untranslated) -> Grid:
    return Grid([say("configuration")], [[group.label] for group in groups])


def others(metric: tuple[str, str]) -> list[tuple[str, str]]:
    """All columns except the metric that ranks configurations."""
    return [column for column in COLUMNS if column != metric]


def _failed(group: Group, say: Say) -> str:
    return ", ".join(say(FAILED_SEED[run.summary["status"]], seed=run.seed) for run in group.failed) or "-"


def as_csv(groups: Sequence[Group]) -> str:
    """The table for programs: a column for each varying key, then mean, std, low and high of each metric, unrounded."""
    varying = varying_keys(groups)
    parts = Estimate._fields[:4]
    heads = [f"{key}.{part}" for _, key in COLUMNS for part in parts]
    headings, rows = ["configuration", *varying, "n", "seeds", "failed_runs", *heads], []
    for group in groups:
        cells: list[Any] = [group.label, *(group.config.get(key) for key in varying), len(group.runs)]
        cells += [" ".join(str(run.seed) for run in group.runs), " ".join(run.path.name for run in group.failed)]
        for _, key in COLUMNS:
            found = estimate(group, key)
            numbers = found[:4] if found else [math.nan] * 4
            cells += ["" if math.isnan(number) else number for number in numbers]
        rows.append(cells)
    return text_table.as_csv(headings, rows)


def write_table(
    files: WrittenFiles, groups: Sequence[Group], say: Say = untranslated, *, metric: tuple[str, str] = RANKED_BY
) -> str:
    """Write table.csv and table.md; return the columns that fit a terminal, as text to print."""
    everything = ranking(groups, metric, say).beside(measurements(groups, others(metric), say))
    if kinds := episodes(groups, say):
        everything = everything.beside(Grid(kinds.headings[1:], [row[1:] for row in kinds.rows]))
    for name, text in zip(TABLE_FILES, (as_csv(groups), as_markdown(*everything)), strict=True):
        write_text(files.path(name), text)
    return printed(groups, say, metric=metric)


def printed(groups: Sequence[Group], say: Say = untranslated, *, metric: tuple[str, str] = RANKED_BY) -> str:
    """The columns that fit a terminal, as text."""
    main = as_text(*ranking(groups, metric, say, ran=False).beside(measurements(groups, PRINTED, say)))
    kinds = episodes(groups, say)
    return f"{main}\n\n{as_text(*kinds)}" if kinds else main
