"""The numbers of a configuration as text: with the appropriate interval, what it covers, and the chance level."""

from __future__ import annotations

import math
from pathlib import Path

from vision2.report.seeds import WHAT_VARIES, SeedEffect, seed_effect, split_of
from vision2.report.texts import Say
from vision2.runs.groups import Group
from vision2.runs.read import Run
from vision2.stats.intervals import Estimate, mean_interval

SHARES = ("accuracy", "balanced_accuracy", "macro_f1", "top5", "chance", "harmonic_mean")


def is_share(key: str) -> bool:
    """Whether the value of a dotted key is a share between 0 and 1, shown in percent."""
    name = key.rsplit(".", 1)[-1].removeprefix("val_").removeprefix("train_")
    return name in SHARES


def estimate(group: Group, key: str) -> Estimate | None:
    """Mean over the runs of a configuration; None if no run has the key. A single run or equal runs have no interval."""
    values = group.values(key)
    if not values:
        return None
    found = mean_interval(values)
    if found.n == 1 or found.repeated:
        return Estimate(found.mean, found.std, math.nan, math.nan, found.n)
    return mean_interval(values, test_to_train=_effect(group, key).test_to_train)


def _effect(group: Group, key: str) -> SeedEffect:
    """What the seed changed on the split of this key; found once, because it takes reading files of every run."""
    split = split_of(key)
    if split not in group.effects:
        group.effects[split] = seed_effect(group.runs, split)
    return group.effects[split]


def bounds(group: Group, key: str) -> tuple[float, float] | None:
    """The 95 % interval to show: over seeds or, for a single run or identical runs, over the images; None if unknown.

    For shares it is clipped to [0, 1], which Student's interval can exceed.
    """
    found = estimate(group, key)
    if found is None:
        return None
    if math.isnan(found.low):
        known = [(run.number(f"{key}_low"), run.number(f"{key}_high")) for run in group.runs[:1]]
        return known[0] if None not in known[0] else None
    return (max(found.low, 0.0), min(found.high, 1.0)) if is_share(key) else (found.low, found.high)


def covers(group: Group, key: str, say: Say) -> str:
    """What the interval returned by `bounds` covers, in a few words."""
    found = estimate(group, key)
    if found is None or bounds(group, key) is None:
        return "-"
    if not math.isnan(found.low):
        return say(WHAT_VARIES[_effect(group, key).what], count=found.n)
    episodes = group.runs[0].get(f"metrics.{split_of(key)}.episodes")
    if episodes is not None:
        return say("{episodes} episodes of one run", episodes=episodes)
    images = group.runs[0].get(f"metrics.{split_of(key)}.n", "?")
    if found.n > 1:
        return say("{images} images; all {count} runs score the same", images=images, count=found.n)
    return say("{images} images of one run", images=images)


def cell(group: Group, key: str, say: Say) -> str:
    """Mean, standard deviation and interval as text, with a remark if an accuracy is no better than chance."""
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
    """A remark such as "(at chance: 10.0 %)" if any run is; "" for metrics other than test or validation accuracy."""
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
    """The accuracy of always predicting the most frequent class, if the run's accuracy is not clearly above it; or None."""
    rows, low = run.get(f"metrics.{split}.per_class"), run.number(f"metrics.{split}.accuracy_low")
    if low is None or not rows or len(rows) < 2:
        return None
    counts = [row["n"] for row in rows]
    level = max(*counts, sum(counts) / len(counts)) / max(1, sum(counts))
    return level if low <= level else None


def what_ran(run: Run, say: Say) -> str:
    """The network, weights and data of a run, which may differ from those the experiment names (overrides)."""
    return ", ".join((str(run.get("model.name", "?")), _weights(run, say), _data(run)))


def _weights(run: Run, say: Say) -> str:
    weights, lineage = run.summary.get("weights"), run.summary.get("lineage") or []
    if not weights:
        return say("random initialisation")
    if lineage and lineage[0].get("run"):
        return say("{model} weights trained on {data}", model=lineage[0].get("model"), data=lineage[0].get("dataset"))
    return Path(str(weights.get("source"))).name


def _data(run: Run) -> str:
    name, root = run.get("dataset.name", "?"), run.get("dataset.root")
    return f"{name} {Path(root).name}" if name == "folder" and root else str(name)
