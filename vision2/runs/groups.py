"""Group the runs that differ only in their seed, and name each group by what distinguishes it from the others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vision2.runs.identity import NOT_PART_OF_IT, beyond_the_configuration
from vision2.runs.read import Run
from vision2.runs.records import flatten

DIGEST_SHOWN = 6  # hexadecimal digits
# Keys in which runs of one configuration may differ: the seed, and where and how the run was done.
NOT_THE_CONFIGURATION = (*NOT_PART_OF_IT, "seed")


@dataclass
class Group:
    """The runs of one configuration."""

    config: dict[str, Any]  # flattened, without the keys that may differ
    runs: list[Run] = field(default_factory=list)  # completed, one per seed
    failed: list[Run] = field(default_factory=list)
    superseded: list[Run] = field(default_factory=list)  # older runs of seeds that were run again
    label: str = ""  # what distinguishes the group from the others; model and strategy if it is the only one
    named_by: tuple[str, ...] = ()  # the keys that make up the label
    effects: dict = field(default_factory=dict, repr=False, compare=False)  # of the seed, by split: see report/scores.py

    def values(self, key: str) -> list[float]:
        """The values of a numeric dotted key, one per completed run that has it."""
        return [value for run in self.runs if (value := run.number(key)) is not None]


def configuration(run: Run) -> dict[str, Any]:
    """A run's flattened configuration without seed, folders and caches."""
    left_out = tuple(f"{key}." for key in NOT_THE_CONFIGURATION)
    flat = {key: value for key, value in flatten(run.config).items() if not f"{key}.".startswith(left_out)}
    if flat.get("fault") is None:
        flat.pop("fault", None)  # as in the runs of versions that had no such setting
    if flat.get("mode") == "eval":
        flat["checkpoint"] = run.config.get("checkpoint")  # several networks can be evaluated with one configuration
    if source := flat.get("strategy.source"):
        # Each seed may transfer from its own source run: only that run's data set, model and strategy count.
        flat["strategy.source"] = "/".join(Path(source).parent.parts[-2:])
    return flat | {key: json.dumps(value) for key, value in beyond_the_configuration(run.summary).items()}


def _configurations(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Each run's configuration; if one seed was run with several source runs, each source makes its own configuration."""
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
    """Return the groups in order of their first run. Of several runs of one seed, only the latest completed one counts."""
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
    found = _join_unfinished(list(groups.values()))
    for group in found:
        group.runs.sort(key=lambda run: (run.seed is None, run.seed))
        done = {run.seed for run in group.runs}
        group.failed = [run for run in group.failed if run.seed not in done]
    _name_groups(found)
    return found


def _join_unfinished(groups: list[Group]) -> list[Group]:
    """Add runs that ended before they knew their data to the finished runs of the same settings."""
    joined = []
    for group in groups:
        same = (other for other in groups if other.runs and group.config.items() <= other.config.items())
        home = next(same, None) if "data" not in group.config and not group.runs else None
        if home is None:
            joined.append(group)
        else:
            home.failed += group.failed
    return joined


def varying_keys(groups: Sequence[Group]) -> list[str]:
    """The configuration keys in which the groups differ, in the order of the schema."""
    keys = list(dict.fromkeys(key for group in groups for key in group.config))
    return [key for key in keys if len({repr(group.config.get(key)) for group in groups}) > 1]


def _name_groups(groups: list[Group]) -> None:
    varying = varying_keys(groups)
    names = [key for key in ("model.name", "strategy.name", "dataset.name") if key in varying]
    # A model option sets several keys at once; if the names distinguish the groups, the other keys are noise.
    shown = names if names and _distinct(groups, names) else [*names, *(key for key in varying if key not in names)]
    shown = _least(groups, shown) or ["model.name", "strategy.name"]
    for group in groups:
        group.named_by = tuple(shown)
        group.label = label_of(group, shown)


def _least(groups: list[Group], keys: list[str]) -> list[str]:
    """Drop each key that is not needed to tell the groups apart, starting from the last."""
    for key in reversed(keys):
        fewer = [other for other in keys if other != key]
        if _distinct(groups, fewer):
            keys = fewer
    return keys


def _distinct(groups: list[Group], keys: list[str]) -> bool:
    return len({tuple(repr(group.config.get(key)) for key in keys) for group in groups}) == len(groups)


def label_of(group: Group, keys: Iterable[str]) -> str:
    """A short label made of the values of some keys: `resnet20 fraction=0.1`."""
    fault = group.config.get("fault")
    words = [setting_in_words(key, group.config.get(key)) for key in keys]
    return " ".join(words if "fault" in keys or not fault else [*words, setting_in_words("fault", fault)])


def setting_in_words(key: str, value: Any) -> str:
    """`fraction=0.1`; for a name, the value alone; `correct` for a run without a fault beside runs that have one."""
    if key == "fault" and value is None:
        return "correct"
    if key == "data":  # a long digest
        value = str(value).strip('"')[:DIGEST_SHOWN]
    return str(value) if key.endswith(".name") else f"{key.rsplit('.', 1)[-1]}={value}"
