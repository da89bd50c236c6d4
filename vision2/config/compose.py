"""From the words on the command line to a `Config`; every problem is found here, before data or weights are touched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from vision2.basics.errors import UserError, suggest
from vision2.config.checks import contradictions
from vision2.config.fields import LEAVES, no_leaf, problems_of_values, unknown_key, value_problem
from vision2.config.location import GROUPS, config_folder, options
from vision2.config.quoting import quote_words
from vision2.config.schema import Config

TYPE_NAMES = {  # the first that occurs in a field's annotation
    "RuleConfig": "a list of {match: PATTERN, lr_scale: NUMBER, frozen: true|false}",
    "list": "a list, e.g. [cat,dog]",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
}


def register() -> None:
    """Make the schema and the `by_budget` resolver known to Hydra. Safe to call again.

    `${by_budget:a,b}` is `a` with budget=lite and `b` with budget=full.
    """
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver(
        "by_budget",
        lambda lite, full, *, _root_: full if _root_.budget == "full" else lite,
        replace=True,
    )


def check_overrides(words: Sequence[str]) -> None:
    """Check each word by itself, so that all mistakes are told at once.

    Raises:
        UserError: with one line for each unknown option, unknown key, wrong type or value out of range.
    """
    problems = []
    for word in words:
        try:
            problems += _problems_of(OverridesParser.create().parse_override(word))
        except HydraException:  # not key=value, or values that cannot be listed such as glob(*)
            problems.append(f"cannot read '{word}': settings are written key=value, e.g. train.epochs=5")
    keys = {word.lstrip("+").partition("=")[0] for word in words}
    if "dataset.root" in keys and not keys & {"dataset", "dataset.name", "experiment", "resume", "mode"}:
        problems.append(
            "dataset.root is given but no dataset, and the usual one (digits) reads no files; add dataset=folder"
        )
    if problems:
        raise UserError(*problems)


def _problems_of(override: Override) -> list[str]:
    key = override.key_or_group
    if key.split("/")[0].split(".")[0] == "hydra":
        return []
    if override.is_delete():
        return [f"'~{key}' would remove a setting; give it a value instead"]
    values = _values(override)
    if key in GROUPS:
        allowed = options(key)
        wanted = ["null" if value is None else value for value in values]
        if key == "experiment":
            allowed = [*allowed, "null"]
        return [f"unknown {key} '{value}'{suggest(value, allowed)}" for value in wanted if value not in allowed]
    problem = unknown_key(key) or no_leaf(key)
    if problem:
        return [problem]
    return [problem for value in values if (problem := _type_or_value_problem(key, value))]


def _values(override: Override) -> list[Any]:
    if not override.is_sweep_override():
        return [override.value()]
    return [OverridesParser.create().parse_override(f"x={text}").value() for text in override.sweep_string_iterator()]


def _type_or_value_problem(key: str, value: Any) -> str | None:
    if isinstance(value, str) and "${" in value:
        return None
    if value == "" and "str" in str(LEAVES[key].type):
        return f"{key} is empty (an unset variable?); give a value or leave it out"
    try:
        probe = OmegaConf.structured(Config)
        OmegaConf.update(probe, key, value)
        value = OmegaConf.select(probe, key)
    except OmegaConfBaseException:
        wanted = str(LEAVES[key].type)
        kind = next((text for name, text in TYPE_NAMES.items() if name in wanted), "of another type")
        return f"{key} is {'null' if value is None else repr(str(value))}, it must be {kind}"
    return value_problem(key, value)


def compose_config(words: Sequence[str]) -> DictConfig:
    """The whole Hydra configuration (with its `hydra` node) for checked words.

    Raises:
        UserError: where a file of the tree cannot be read or a value does not fit.
    """
    several = [word for word in words if OverridesParser.create().parse_override(word).is_sweep_override()]
    if several:
        how = "add -m to train with each of them; a list is written [a,b], a decimal 1.5, a text with a comma \"'a,b'\""
        raise UserError(*(f"{word} names several values: {how}" for word in several))
    register()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            return compose("config", list(words), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise UserError(f"the configuration does not fit together: {_first_lines(error)}") from error


def _first_lines(error: Exception) -> str:
    lines = [re.sub(r"\s+", " ", line).strip() for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line and not line.startswith(("full_key", "object_type", "reference")))[
        :400
    ]


def to_config(node: DictConfig) -> Config:
    """Convert once to plain dataclasses, and check values and contradictions.

    Raises:
        UserError: with one line for each problem.
    """
    node = OmegaConf.masked_copy(node, [key for key in node if key != "hydra"])
    leftovers = _leftovers(node)
    if leftovers:
        raise UserError(*leftovers)
    try:
        typed = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.to_container(node, resolve=True))
        config = OmegaConf.to_object(typed)
    except OmegaConfBaseException as error:
        raise UserError(f"the configuration has a gap: {_first_lines(error)}") from error
    problems = problems_of_values(config) or contradictions(config)
    if problems:
        raise UserError(*problems)
    return config


def _leftovers(node: DictConfig) -> list[str]:
    """Keys that a `+key=value` or a file smuggled past the schema."""
    found = []
    for section, value in node.items_ex(resolve=False):
        names = [section] if not isinstance(value, DictConfig) else [f"{section}.{key}" for key in value]
        found += [problem for name in names if (problem := unknown_key(name))]
    return found


def load_config(words: Sequence[str]) -> Config:
    """Words to a checked `Config`: the way every command but train takes."""
    words = quote_words(words)
    check_overrides(words)
    return to_config(compose_config(words))


def load_without_data(words: Sequence[str]) -> Config:
    """The same for a command that reads no data set: images have the model's own size unless a word says otherwise."""
    told = any(word.partition("=")[0] in ("dataset", "dataset.image_size_px") for word in words)
    return load_config(words if told else ["dataset.image_size_px=null", *words])


def from_dict(values: dict) -> Config:
    """A `Config` from the plain dict that a run folder or a checkpoint holds. Unknown keys are errors, not code.

    Raises:
        UserError: where the values do not fit the schema.
    """
    if "${" in repr(values):
        raise UserError("this saved configuration holds an interpolation (${...}); saved ones hold plain values only")
    try:
        return to_config(OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(values)))
    except OmegaConfBaseException as error:
        raise UserError(f"this saved configuration does not fit this version: {_first_lines(error)}") from error
