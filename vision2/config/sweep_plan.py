"""Plan a sweep before it starts: which jobs it has, and whether each of them can be run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from vision2.basics.errors import try_all
from vision2.config.compose import compose_config, refuse_unusable_paths, to_config
from vision2.config.overrides import check_overrides, expand, is_sweep
from vision2.config.schema import Config


class SweepPlan(NamedTuple):
    overrides: list[str]  # those of the sweep, with the experiment's own parameters spelled out
    jobs: int
    first: Config  # of the first job, for settings that all jobs share


def plan_sweep(overrides: Sequence[str], node: DictConfig) -> SweepPlan:
    """Expand the sweep (the experiment's own parameters included) and check every job.

    Raises:
        UserError: with every problem of every job, each reported once; for a path that no job could read, at once.
    """
    refuse_unusable_paths(node)
    parameters = OmegaConf.to_container(node.hydra.sweeper, resolve=True).get("params") or {}
    given = {override.lstrip("+").partition("=")[0] for override in overrides}
    own = [f"{key}={value}" for key, value in parameters.items() if key not in given]
    check_overrides(own)
    overrides = [*own, *overrides]
    values = [expand(override) for override in overrides]
    # Composing takes 50 ms, and seeds take part in no contradiction: jobs that differ only in the seed are checked once.
    pairs = zip(overrides, values, strict=True)
    checked = product(*(given[:1] if override.startswith("seed=") else given for override, given in pairs))
    configs = try_all(lambda job: to_config(compose_config(job)), checked)
    return SweepPlan(overrides, prod(map(len, values)), configs[0])


def fixed_overrides(overrides: Sequence[str]) -> list[str]:
    """The overrides with a single value, which all jobs of a sweep share."""
    return [override for override in overrides if not is_sweep(override)]
