"""From overrides to a `Config`; every problem is found here, before data or weights are touched."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from vision2.basics.errors import UserError
from vision2.config.checks import problems_of
from vision2.config.location import config_folder
from vision2.config.overrides import check_overrides, is_sweep, quote_overrides
from vision2.config.schema import Config


def register() -> None:
    """Make the schema and the `by_budget` resolver known to Hydra; safe to call again.

    `${by_budget:a,b}` is `a` with budget=lite and `b` with budget=full.
    """
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver(
        "by_budget",
        lambda lite, full, *, _root_: full if _root_.budget == "full" else lite,
        replace=True,
    )


def compose_config(overrides: Sequence[str]) -> DictConfig:
    """The whole Hydra configuration (with its `hydra` node) for checked overrides.

    Raises:
        UserError: where a file of the tree cannot be read or a value does not fit.
    """
    how = "add -m to train with each of them; a list is written [a,b], a decimal 1.5, a text with a comma \"'a,b'\""
    sweeps = [f"{override} names several values: {how}" for override in overrides if is_sweep(override)]
    if sweeps:
        raise UserError(*sweeps)
    register()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            return compose("config", list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise UserError(f"the configuration cannot be composed: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    lines = [re.sub(r"\s+", " ", line).strip() for line in str(error).splitlines()]
    technical = ("full_key", "object_type", "reference")
    return "; ".join(line for line in lines if line and not line.startswith(technical))[:400]


def to_config(node: DictConfig) -> Config:
    """Convert once to plain dataclasses, and check values and contradictions.

    Raises:
        UserError: with one line for each problem.
    """
    node = OmegaConf.masked_copy(node, [key for key in node if key != "hydra"])
    try:  # merging into a fresh schema refuses the keys that a `+key=value` or a file smuggled past the first one
        typed = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.to_container(node, resolve=True))
        config = OmegaConf.to_object(typed)
    except OmegaConfBaseException as error:
        raise UserError(f"the configuration does not fit the schema: {_one_line(error)}") from error
    problems = problems_of(config)
    if problems:
        raise UserError(*problems)
    return config


def load_config(overrides: Sequence[str]) -> Config:
    """The checked `Config` of a command line; every command but train gets its configuration here."""
    overrides = quote_overrides(overrides)
    check_overrides(overrides)
    return to_config(compose_config(overrides))


def load_without_data(overrides: Sequence[str]) -> Config:
    """The same for a command that reads no data set: images have the model's own size unless an override says otherwise."""
    chosen = any(override.partition("=")[0] in ("dataset", "dataset.image_size_px") for override in overrides)
    return load_config(overrides if chosen else ["dataset.image_size_px=null", *overrides])


def refuse_interpolations(values: dict) -> None:
    """Saved configurations are plain values: reading one resolves nothing, such as a variable of this machine."""
    if "${" in repr(values):
        raise UserError("this saved configuration holds an interpolation (${...}); saved ones hold plain values only")


def from_dict(values: dict) -> Config:
    """A `Config` from the plain dict that a run folder or a checkpoint holds. Unknown keys are errors, not code.

    Raises:
        UserError: where the values do not fit the schema.
    """
    refuse_interpolations(values)
    try:
        return to_config(OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(values)))
    except OmegaConfBaseException as error:
        raise UserError(f"this saved configuration does not fit this version: {_one_line(error)}") from error
