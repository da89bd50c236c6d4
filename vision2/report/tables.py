"""One row per configuration: mean, spread, 95 % interval and n over its seeds; failed runs named."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

from vision2.basics.atomic_write import write_text
from vision2.basics.text_table import as_markdown, as_text
from vision2.basics.written import WrittenFiles
from vision2.runs.groups import Group, varying_keys
from vision2.stats.intervals import Estimate, mean_interval

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
    ("images/s", "images_per_second"),
    ("peak memory MB", "peak_memory_mb"),
)
PRINTED = tuple(column for column in COLUMNS if column[0] in ("test accuracy", "train accuracy", "seconds"))
TABLE_FILES = ("table.csv", "table.md")


def table(
    groups: Sequence[Group], say: Callable[[str], str] = str, columns: Sequence[tuple[str, str]] = COLUMNS
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of text for people.

    Args:
        say: translates a heading.
        columns: (heading, dotted key); those that no run has are left out.
    """
    columns = [(name, key) for name, key in columns if any(group.values(key) for group in groups)]
    headings = [say("configuration"), "n", *(say(name) for name, _ in columns), say("failed")]
    rows = []
    for group in groups:
        cells = [_cell(key, mean_interval(values)) if (values := group.values(key)) else "-" for _, key in columns]
        failed = ", ".join(f"seed {run.seed} ({run.summary['status']})" for run in group.failed) or "-"
        rows.append([group.label, str(len(group.runs)), *cells, failed])
    return headings, rows


def _cell(key: str, value: Estimate) -> str:
    if is_share(key):
        text = f"{100 * value.mean:.2f} %"
        if math.isnan(value.std):
            return text
        # Student's interval knows no bounds, but no share lies outside 0 to 100 %.
        return f"{text} ± {100 * value.std:.2f} [{100 * max(value.low, 0):.2f}, {100 * min(value.high, 1):.2f}]"
    if key in ("parameters", "multiply_adds"):
        return f"{value.mean / 1e6:,.2f} M"
    return f"{value.mean:,.3f}" if key.endswith("loss") else f"{value.mean:,.{0 if value.mean >= 100 else 1}f}"


def is_share(key: str) -> bool:
    """Whether a dotted key is a share of 1, shown in percent."""
    name = key.rsplit(".", 1)[-1].removeprefix("val_").removeprefix("train_")
    return name in ("accuracy", "balanced_accuracy", "macro_f1")


def as_csv(groups: Sequence[Group]) -> str:
    """Numbers for programs: a column for each varying key, then mean, std, low, high of each metric, unrounded."""
    varying = varying_keys(groups)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    parts = Estimate._fields[:4]
    heads = [f"{key}.{part}" for _, key in COLUMNS for part in parts]
    writer.writerow(["configuration", *varying, "n", "seeds", "failed_runs", *heads])
    for group in groups:
        cells: list[Any] = [group.label, *(group.config.get(key) for key in varying), len(group.runs)]
        cells += [" ".join(str(run.seed) for run in group.runs), " ".join(run.path.name for run in group.failed)]
        for _, key in COLUMNS:
            values = group.values(key)
            numbers = mean_interval(values)[:4] if values else [math.nan] * 4
            cells += ["" if math.isnan(number) else number for number in numbers]
        writer.writerow(cells)
    return stream.getvalue()


def write_table(files: WrittenFiles, groups: Sequence[Group], say: Callable[[str], str] = str) -> str:
    """Write table.csv and table.md; returns the columns that fit a terminal, as text to print."""
    for name, text in zip(TABLE_FILES, (as_csv(groups), as_markdown(*table(groups, say))), strict=True):
        write_text(files.path(name), text)
    return as_text(*table(groups, say, PRINTED))
