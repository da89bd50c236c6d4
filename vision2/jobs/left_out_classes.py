"""Learn from attributes with different classes left out: one run of strategy=eszsl for each seed, and their table."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from vision2.basics import text_table
from vision2.basics.atomic_write import write_json
from vision2.basics.errors import UserError, try_all
from vision2.config.compose import load_config
from vision2.config.overrides import list_of
from vision2.config.schema import Config
from vision2.data.collection import keep_classes
from vision2.data.datasets import find_collection
from vision2.data.unseen import unseen_classes
from vision2.jobs.sweep import sweep_job
from vision2.pictures.images import save_figure
from vision2.pictures.zero_shot import zero_shot_figure
from vision2.runs.records import RunRecord, plain
from vision2.runs.sweep_folder import SweepFolder, create_sweep_dir
from vision2.stats.intervals import Estimate, mean_interval
from vision2.stats.verdict import judge_pairs
from vision2.zeroshot.attributes import read_attributes
from vision2.zeroshot.fit_attributes import seen_classes

OWN = ("strategy", "seed", "resume", "mode", "strategy.attributes", "dataset.unseen", "dataset.unseen_drawn")
KEYS = {  # column -> place of the accuracy in the scores of a run
    "unseen, among the unseen": ("unseen",),
    "seen, among all": ("generalised", "seen"),
    "unseen, among all": ("generalised", "unseen"),
}


def left_out(overrides: list[str], *, attributes: str, unseen: str | None, seeds: Sequence[int], command: str) -> int:
    """Run, print and write; return 1 if a job failed. `command` repeats everything.

    Raises:
        UserError: for a setting that this comparison makes itself, or when no run finished.
    """
    taken = [word for word in overrides if word.partition("=")[0] in OWN]
    if taken:
        raise UserError(f"'{taken[0]}' is set by method=attributes itself; leave it out and use attributes=, unseen=, seeds=")
    given = [f"dataset.unseen={list_of(unseen)}"] if unseen else ["dataset.unseen_drawn=2"]
    pretrained = [word for word in overrides if word.startswith(("weights.", "strategy.source="))]
    words = [*overrides, "strategy=eszsl", f"strategy.attributes={attributes}", *given]
    words += ["strategy.pretrained=true"] if pretrained else []
    lines = [[*words, f"seed={seed}"] for seed in seeds]
    configs = try_all(lambda line: load_config([*line, "skip_finished=true"]), lines)
    for config in configs:
        _check_classes(config)
    folder = SweepFolder(create_sweep_dir(Path(configs[0].output_dir)))
    folder.describe(command, {}, jobs=len(lines))
    for number, (config, line) in enumerate(zip(configs, lines, strict=True), start=1):
        sweep_job(config, shlex.join(["python", "-m", "vision2.train", *line]), folder, number=number)
    done = [row for row in folder.jobs() if row["status"] in ("completed", "skipped")]
    if not done:
        raise UserError("no run finished; see the errors above")
    rows = [_row(RunRecord(row["run"]).summary()) for row in done]
    print("\n" + as_text(rows))
    write_json(folder.path / "zero_shot.json", plain({"command": command, "runs": rows}))
    save_figure(zero_shot_figure(rows), folder.path / "zero_shot.png")
    print(f"written: {folder.path / 'zero_shot.json'}, zero_shot.png; a page: python -m vision2.report {folder.path}")
    return int(len(done) < len(lines))


def _check_classes(config: Config) -> None:
    """Check the left-out classes and the attributes of all classes, before anything is trained or written."""
    classes = keep_classes(find_collection(config.dataset), config.dataset.classes).classes
    seen_classes(len(classes), unseen_classes(config.dataset, classes, seed=config.seed))
    read_attributes(config.strategy.attributes, classes)


def _row(summary: dict) -> dict:
    scores = summary["metrics"]["test"]["zero_shot"]
    return {"seed": summary["config"]["seed"], "left_out": [summary["classes"][index] for index in scores["classes"]]} | scores


def as_text(rows: Sequence[dict]) -> str:
    """A line for each run, their means with 95 % intervals over the runs, and the verdict against chance."""
    lines = []
    for row in rows:
        cells = [_share(_at(row, *places)) for places in KEYS.values()]
        mean = f"{100 * row['generalised']['harmonic_mean']:.1f}"
        lines.append([str(row["seed"]), ", ".join(row["left_out"]), *cells, mean])
    columns = [[_at(row, *places)["accuracy"] for row in rows] for places in KEYS.values()]
    columns.append([row["generalised"]["harmonic_mean"] for row in rows])
    if len(rows) > 1:
        lines.append(["mean", "", *(_mean(mean_interval(column)) for column in columns)])
    chances = [row["unseen"]["chance"] for row in rows]
    levels = f"{100 * chances[0]:.1f} % among the unseen, {100 * rows[0]['generalised']['chance']:.1f} % among all"
    table = text_table.as_text(["seed", "left out", *KEYS, "harmonic mean"], lines)
    title = f"test accuracy in percent (95 % interval, number of images); chance: {levels}"
    return f"{title}\n\n{table}\n\n{_verdict(columns[0], chances)}"


def _verdict(accuracies: Sequence[float], chances: Sequence[float]) -> str:
    if len(accuracies) == 1:
        return "one run: its intervals cover the images, not other classes; add seeds for a verdict, e.g. seeds=0,1,2,3,4"
    verdict = judge_pairs(accuracies, chances).verdict
    runs = f"{len(accuracies)} runs, which share images and classes"
    return f"the accuracy among the unseen classes is above chance: {verdict} ({runs})"


def _at(row: dict, *places: str) -> dict:
    for place in places:
        row = row[place]
    return row


def _share(found: dict) -> str:
    return "{:.1f} ({:.1f}-{:.1f}, {})".format(
        *(100 * found[key] for key in ("accuracy", "accuracy_low", "accuracy_high")), found["n"]
    )


def _mean(found: Estimate) -> str:
    return f"{100 * found.mean:.1f} ({100 * found.low:.1f}-{100 * found.high:.1f})"
