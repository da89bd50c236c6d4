"""One row a configuration: mean, spread, 95 % interval and n over its seeds; failed runs named."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vision2.basics.atomic_write import write_text
from vision2.runs.identity import NOT_PART_OF_IT
from vision2.runs.read import Run

# Runs of one configuration may differ in these: the seed, and where and how the work was done.
NOT_THE_CONFIGURATION = (*NOT_PART_OF_IT, "seed")
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
COLUMNS_PRINTED = tuple(column for column in COLUMNS if column[0] in ("test accuracy", "train accuracy", "seconds"))
SHARES = ("accuracy", "balanced_accuracy", "macro_f1")


@dataclass
class Group:
    """The runs of one configuration."""

    config: dict[str, Any]  # flattened, without what may differ
    runs: list[Run] = field(default_factory=list)  # completed, one a seed
    failed: list[Run] = field(default_factory=list)
    superseded: list[Run] = field(default_factory=list)  # an older run of a seed that was run again
    label: str = ""  # what tells it from the other groups, or model and strategy
    named_by: tuple[str, ...] = ()  # the keys the label is made of

    def values(self, key: str) -> list[float]:
        """The numbers of a dotted key, one a completed run that has it."""
        found = (run.get(key) for run in self.runs)
        return [float(value) for value in found if isinstance(value, int | float) and not isinstance(value, bool)]


def flatten(config: dict, prefix: str = "") -> dict[str, Any]:
    """{"model": {"name": "a"}} -> {"model.name": "a"}; lists become text so that values can be compared and shown."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = json.dumps(value) if isinstance(value, list) else value
    return flat


def configuration(run: Run) -> dict[str, Any]:
    """A run's flattened configuration without seed, folders and caches."""
    flat = {
        key: value
        for key, value in flatten(run.config).items()
        if not any(key == left_out or key.startswith(left_out + ".") for left_out in NOT_THE_CONFIGURATION)
    }
    if flat.get("mode") == "eval":
        flat["checkpoint"] = run.config.get("checkpoint")  # two networks of one configuration are not one run twice
    if source := flat.get("strategy.source"):
        # Each seed may transfer from its own source run: what counts is which model learnt what there.
        flat["strategy.source"] = "/".join(Path(source).parent.parts[-2:])
    return flat


def _configurations(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The configuration of each run; where one seed transferred from several source runs, each of these is its own."""
    configs = [configuration(run) for run in runs]
    keys = [_key(config) for config in configs]
    sources: dict[tuple, set] = {}
    for key, run in zip(keys, runs, strict=True):
        sources.setdefault((key, run.seed), set()).add(run.get("strategy.source"))
    several = {key for (key, _), found in sources.items() if len(found) > 1}
    for key, config, run in zip(keys, configs, runs, strict=True):
        if key in several:
            config["strategy.source"] = "/".join(Path(str(run.get("strategy.source"))).parts[-3:])
    return configs


def _key(config: dict[str, Any]) -> str:
    return json.dumps(config, sort_keys=True, default=str)


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """Groups in order of their first run. A seed that was run twice counts once, by its latest completed run."""
    groups: dict[str, Group] = {}
    ordered = sorted(runs, key=lambda run: (run.path.name, str(run.path)))
    for run, config in zip(ordered, _configurations(ordered), strict=True):
        group = groups.setdefault(_key(config), Group(config))
        if not run.completed:
            group.failed.append(run)
            continue
        older = [other for other in group.runs if other.seed == run.seed]
        group.superseded += older
        group.runs = [other for other in group.runs if other not in older] + [run]
    found = list(groups.values())
    for group in found:
        group.runs.sort(key=lambda run: (run.seed is None, run.seed))
        done = {run.seed for run in group.runs}
        group.failed = [run for run in group.failed if run.seed not in done]
    _name_groups(found)
    return found


def varying_keys(groups: Sequence[Group]) -> list[str]:
    """The configuration keys in which the groups differ, in the order of the schema."""
    keys = list(dict.fromkeys(key for group in groups for key in group.config))
    return [key for key in keys if len({repr(group.config.get(key)) for group in groups}) > 1]


def _name_groups(groups: list[Group]) -> None:
    varying = varying_keys(groups)
    names = [key for key in ("model.name", "strategy.name", "dataset.name") if key in varying]
    # A model option sets several keys at once; once names tell the groups apart the rest is noise.
    shown = names if names and _distinct(groups, names) else [*names, *(key for key in varying if key not in names)]
    shown = _least(groups, shown) or ["model.name", "strategy.name"]
    for group in groups:
        group.named_by = tuple(shown)
        group.label = label_of(group, shown)


def _least(groups: list[Group], keys: list[str]) -> list[str]:
    """Drop, from the end, each key without which the groups are still told apart."""
    for key in reversed(keys):
        fewer = [other for other in keys if other != key]
        if _distinct(groups, fewer):
            keys = fewer
    return keys


def _distinct(groups: list[Group], keys: list[str]) -> bool:
    return len({tuple(repr(group.config.get(key)) for key in keys) for group in groups}) == len(groups)


def label_of(group: Group, keys: Iterable[str]) -> str:
    """The values of some keys in a few words: `resnet20 fraction=0.1`."""
    return " ".join(_short(key, group.config.get(key)) for key in keys)


def _short(key: str, value: Any) -> str:
    return str(value) if key.endswith(".name") else f"{key.rsplit('.', 1)[-1]}={value}"


def table(
    groups: Sequence[Group],
    estimate: Callable[[Sequence[float]], Any],
    say: Callable[[str], str] = str,
    columns: Sequence[tuple[str, str]] = COLUMNS,
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of text for people.

    Args:
        estimate: numbers -> (mean, std, low, high, n), e.g. `analysis.intervals.mean_interval`.
        say: translates a heading.
        columns: (heading, dotted key); those that no run has are left out.
    """
    columns = [(name, key) for name, key in columns if any(group.values(key) for group in groups)]
    headings = [say("configuration"), "n", *(say(name) for name, _ in columns), say("failed")]
    rows = []
    for group in groups:
        cells = [_cell(key, estimate(values)) if (values := group.values(key)) else "-" for _, key in columns]
        failed = ", ".join(f"seed {run.seed} ({run.summary['status']})" for run in group.failed) or "-"
        rows.append([group.label, str(len(group.runs)), *cells, failed])
    return headings, rows


def _cell(key: str, value: Any) -> str:
    mean, std, low, high, _ = value
    if key.rsplit(".", 1)[-1] in SHARES:
        text = f"{100 * mean:.2f} %"
        if math.isnan(std):
            return text
        # Student's interval knows no bounds; a share beyond 100 % would only puzzle.
        return f"{text} ± {100 * std:.2f} [{100 * max(low, 0):.2f}, {100 * min(high, 1):.2f}]"
    if key in ("parameters", "multiply_adds"):
        return f"{mean / 1e6:,.2f} M"
    return f"{mean:,.3f}" if key.endswith("loss") else f"{mean:,.0f}" if mean >= 100 else f"{mean:,.1f}"


def as_markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def as_text(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded for a terminal."""
    widths = [max(len(line[index]) for line in [headings, *rows]) for index in range(len(headings))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [headings, *rows]
    )
    return "\n".join(line.rstrip() for line in lines)


def as_csv(groups: Sequence[Group], estimate: Callable[[Sequence[float]], Any]) -> str:
    """Numbers for programs: a column for each varying key, then mean, std, low, high of each metric, unrounded."""
    varying = varying_keys(groups)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    parts = ("mean", "std", "low", "high")
    heads = [f"{key}.{part}" for _, key in COLUMNS for part in parts]
    writer.writerow(["configuration", *varying, "n", "seeds", "failed_runs", *heads])
    for group in groups:
        cells: list[Any] = [group.label, *(group.config.get(key) for key in varying), len(group.runs)]
        cells += [" ".join(str(run.seed) for run in group.runs), " ".join(str(run.path.name) for run in group.failed)]
        for _, key in COLUMNS:
            values = group.values(key)
            numbers = estimate(values)[:4] if values else [None] * 4
            cells += ["" if number is None or math.isnan(number) else number for number in numbers]
        writer.writerow(cells)
    return stream.getvalue()


def write_table(
    folder: Path, groups: Sequence[Group], estimate: Callable[[Sequence[float]], Any], say: Callable[[str], str] = str
) -> str:
    """Write table.csv and table.md; returns the columns that fit a terminal, as text to print."""
    write_text(folder / "table.csv", as_csv(groups, estimate))
    write_text(folder / "table.md", as_markdown(*table(groups, estimate, say)))
    return as_text(*table(groups, estimate, say, COLUMNS_PRINTED))
