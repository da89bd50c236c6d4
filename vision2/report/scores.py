"""A configuration's figures as people read them: with the interval that fits, what it covers, and chance beside them."""

from __future__ import annotations

import math
from pathlib import Path

from vision2.report.seeds import WHAT_VARIES, seed_effect, split_of
from vision2.report.texts import Say
from vision2.runs.groups import Group
from vision2.runs.read import Run
from vision2.stats.intervals import Estimate, mean_interval

SHARES = ("accuracy", "balanced_accuracy", "macro_f1", "top5")


def is_share(key: str) -> bool:
    """Whether a dotted key is a share of 1, shown in percent."""
    name = key.rsplit(".", 1)[-1].removeprefix("val_").removeprefix("train_")
    return name in SHARES


def estimate(group: Group, key: str) -> Estimate | None:
    """Mean over the runs of a configuration; None when no run has the figure. Equal runs have no interval over seeds."""
    values = group.values(key)
    if not values:
        return None
    found = mean_interval(values)
    if found.n == 1 or found.repeated:
        return Estimate(found.mean, found.std, math.nan, math.nan, found.n)
    return mean_interval(values, test_to_train=seed_effect(group.runs, split_of(key)).test_to_train)


def bounds(group: Group, key: str) -> tuple[float, float] | None:
    """The 95 % interval to show: over seeds, or of the images for a single run and for runs that are all the same.

    None for no interval. Student's interval knows no bounds, but no share lies outside 0 to 1.
    """
    found = estimate(group, key)
    if found is None:
        return None
    if math.isnan(found.low):
        known = [(run.number(f"{key}_low"), run.number(f"{key}_high")) for run in group.runs[:1]]
        return known[0] if None not in known[0] else None
    return (max(found.low, 0.0), min(found.high, 1.0)) if is_share(key) else (found.low, found.high)


def covers(group: Group, key: str, say: Say) -> str:
    """What the interval of `bounds` covers, in a few words."""
    found = estimate(group, key)
    if found is None or bounds(group, key) is None:
        return "-"
    if not math.isnan(found.low):
        return say(WHAT_VARIES[seed_effect(group.runs, split_of(key)).what], count=found.n)
    images = group.runs[0].get(f"metrics.{split_of(key)}.n", "?")
    if found.n > 1:
        return say("{images} images; the {count} runs are identical", images=images, count=found.n)
    return say("{images} images of one run", images=images)


def cell(group: Group, key: str, say: Say) -> str:
    """Mean, spread and interval as text; an accuracy says when it is no better than chance."""
    found = estimate(group, key)
    if found is None:
        return "-"
    if not is_share(key):
        return plain_number(key, found.mean)
    text, interval = f"{100 * found.mean:.2f} %", bounds(group, key)
    if not math.isnan(found.low):
        text += f" ± {100 * found.std:.2f}"
    if interval:
        text += " [{:.2f}, {:.2f}]".format(*(100 * bound for bound in interval))
    return f"{text} {words}" if (words := chance(group, key, say)) else text


def plain_number(key: str, value: float) -> str:
    if key in ("parameters", "multiply_adds"):
        return f"{value / 1e6:,.2f} M"
    return f"{value:,.3f}" if key.endswith("loss") else f"{value:,.{0 if value >= 100 else 1}f}"


def chance(group: Group, key: str, say: Say) -> str:
    """ "(at chance: 10.0 %)" when so many of the runs are; "" for figures other than accuracies on test or validation."""
    split = split_of(key)
    if key != f"metrics.{split}.accuracy":
        return ""
    found = [level for run in group.runs if (level := _chance_reached(run, split)) is not None]
    if not found:
        return ""
    level = f"{100 * max(found):.1f} %"
    if len(found) == len(group.runs):
        return say("(at chance: {level})", level=level)
    return say("({count} of {all} runs at chance: {level})", count=len(found), all=len(group.runs), level=level)


def _chance_reached(run: Run, split: str) -> float | None:
    """The accuracy of always answering the most frequent class, if the interval of the run's images includes it."""
    rows, low = run.get(f"metrics.{split}.per_class"), run.number(f"metrics.{split}.accuracy_low")
    if low is None or not rows or len(rows) < 2:
        return None
    counts = [row["n"] for row in rows]
    level = max(*counts, sum(counts) / len(counts)) / max(1, sum(counts))
    return level if low <= level else None


def what_ran(run: Run, say: Say) -> str:
    """Network, weights and data of a run: another network or a smaller set may stand in for what an experiment names."""
    return ", ".join((str(run.get("model.name", "?")), _weights(run, say), _data(run)))


def _weights(run: Run, say: Say) -> str:
    weights, lineage = run.summary.get("weights"), run.summary.get("lineage") or []
    if not weights:
        return say("random start")
    if lineage and lineage[0].get("run"):
        return say("weights of {model} on {data}", model=lineage[0].get("model"), data=lineage[0].get("dataset"))
    return Path(str(weights.get("source"))).name


def _data(run: Run) -> str:
    name, root = run.get("dataset.name", "?"), run.get("dataset.root")
    return f"{name} {Path(root).name}" if name == "folder" and root else str(name)
