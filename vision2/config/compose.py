"""Turn overrides into a checked `Config`; every problem is found here, before data or weights are touched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from vision2.basics.errors import UserError
from vision2.config.checks import problems_of, unusable_paths
from vision2.config.location import config_folder
from vision2.config.overrides import check_overrides, is_sweep, quote_overrides, typed_defaults
from vision2.config.schema import Config

# What Hydra and OmegaConf put before the message itself.
CONTEXT = r"In '\S*': |While dereferencing interpolation '.*?': |\w+ raised while resolving interpolation: "


@cache
def register() -> None:
    """Make the schema and the `by_budget` resolver known to Hydra, once.

    `${by_budget:a,b}` is `a` with budget=lite and `b` with budget=full.
    """
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver("by_budget", _by_budget, replace=True)


def _by_budget(*values: object, _root_: DictConfig) -> object:
    if len(values) != 2:
        raise ValueError(f"by_budget needs two values, ${{by_budget:LITE,FULL}}, not {len(values)}")
    return values[1] if _root_.budget == "full" else values[0]


def compose_config(overrides: Sequence[str], *, several: str = "; to train with each of them add -m") -> DictConfig:
    """The whole Hydra configuration (with its `hydra` node) for checked overrides.

    Args:
        several: what to say to an override with several values.

    Raises:
        UserError: if a file of the tree cannot be read or a value does not fit.
    """
    how = "write a list as [a,b], a decimal as 1.5, text with a comma as \"'a,b'\""
    sweeps = [f"{override} has several values{several}; {how}" for override in overrides if is_sweep(override)]
    if sweeps:
        raise UserError(*sweeps)
    register()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            return compose("config", list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise UserError(f"invalid configuration: {_reason(error)}; correct this override or YAML file") from error


def _reason(error: Exception) -> str:
    """The key and the first sentence of an error of Hydra or OmegaConf; all of an error of YAML."""
    lines = [line for text in str(error).splitlines() if (line := re.sub(r"\s+", " ", text).strip())]
    if isinstance(error, YAMLError):
        return " ".join(lines)[:400]
    key = next((line.partition(": ")[2] for line in lines if line.startswith("full_key: ")), "")
    said = re.sub(f"^({CONTEXT})+", "", lines[0] if lines else type(error).__name__).rstrip(".")
    return (f"{key}: {said}" if key and key not in said else said)[:400]


def to_config(node: DictConfig) -> Config:
    """Convert once to plain dataclasses, and check values and contradictions.

    Raises:
        UserError: with one line per problem.
    """
    with _explaining_settings():
        return _checked(_typed(OmegaConf.masked_copy(node, [key for key in node if key != "hydra"])))


def refuse_unusable_paths(node: DictConfig) -> None:
    """Check only the paths, for a sweep with many jobs: the other checks need the settings of each job.

    Raises:
        UserError: with one line per file or folder that does not exist.
    """
    with _explaining_settings():
        if problems := list(unusable_paths(node)):
            raise UserError(*problems)


@contextmanager
def _explaining_settings() -> Iterator[None]:
    try:
        yield
    except OmegaConfBaseException as error:
        raise UserError(f"invalid setting: {_reason(error)}; see docs/configuration.md for keys and types") from error


def _typed(node: DictConfig) -> Config:
    """Merging into a fresh schema rejects keys that a `+key=value` or a file added to the first one."""
    typed = OmegaConf.merge(typed_defaults(), OmegaConf.to_container(node, resolve=True))
    return OmegaConf.to_object(typed)


def _checked(config: Config) -> Config:
    if problems := problems_of(config):
        raise UserError(*problems)
    return config


def load_config(overrides: Sequence[str]) -> Config:
    """The checked `Config` of a command line; every command but train gets its configuration here."""
    overrides = quote_overrides(overrides)
    check_overrides(overrides)
    return to_config(compose_config(overrides, several=", but this command accepts one"))


def load_without_data(overrides: Sequence[str]) -> Config:
    """Like `load_config`, for commands that neither read a data set nor train.

    Images have the model's own size unless overridden, and published weights may be named without a strategy.
    """
    given = dict(override.partition("=")[::2] for override in overrides)
    added = [] if given.keys() & {"dataset", "dataset.image_size_px"} else ["dataset.image_size_px=null"]
    if given.get("weights.name", "auto") not in ("auto", "none") and "strategy" not in given:
        added.append("strategy=finetune")  # the default, scratch, accepts no published weights
    return load_config([*added, *overrides])


def refuse_interpolations(values: dict) -> None:
    """Refuse a saved configuration that is not plain values: resolving it could read, say, an environment variable."""
    if "${" in repr(values):
        raise UserError(
            "this saved configuration has an interpolation (${...}) but must have plain values only; restore the file as saved"
        )


def from_dict(values: dict) -> Config:
    """A `Config` from the plain dict that a run folder or a checkpoint holds. Unknown keys are errors and never executed.

    Raises:
        UserError: if the values do not fit the schema.
    """
    refuse_interpolations(values)
    try:
        return _checked(_typed(OmegaConf.create(values)))
    except OmegaConfBaseException as error:
        reason = f"this saved configuration does not fit this version of vision2 ({_reason(error)})"
        raise UserError(f"{reason}; use the version that wrote it") from error
