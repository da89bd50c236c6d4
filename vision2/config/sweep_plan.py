"""A sweep before it starts: which jobs it has, and whether each of them can be run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from vision2.basics.errors import UserError
from vision2.config.compose import check_overrides, compose_config, to_config
from vision2.config.schema import Config


class SweepPlan(NamedTuple):
    words: list[str]  # what to type for this sweep: the experiment's own parameters spelled out
    jobs: int
    first: Config  # of the first job: what all jobs share can be read from it


def plan_sweep(words: Sequence[str], node: DictConfig) -> SweepPlan:
    """Expand the sweep (the experiment's own parameters included) and check every job.

    Raises:
        UserError: with every problem of every job, each told once.
    """
    parameters = OmegaConf.to_container(node.hydra.sweeper, resolve=True).get("params") or {}
    given = {word.lstrip("+").partition("=")[0] for word in words}
    own = [f"{key}={value}" for key, value in parameters.items() if key not in given]
    check_overrides(own)
    problems: dict[str, None] = {}
    configs = []
    words = [*own, *words]
    jobs = list(product(*map(_alternatives, words)))
    for job in jobs:
        try:
            configs.append(to_config(compose_config(job)))
        except UserError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise UserError(*problems)
    return SweepPlan(words, len(jobs), configs[0])


def fixed_words(words: Sequence[str]) -> list[str]:
    """The words that name one value: what all jobs of a sweep share."""
    return [word for word in words if not OverridesParser.create().parse_override(word).is_sweep_override()]


def _alternatives(word: str) -> list[str]:
    override = OverridesParser.create().parse_override(word)
    if not override.is_sweep_override():
        return [word]
    key = override.get_key_element()
    return [f"{key}={value}" for value in override.sweep_string_iterator()]
