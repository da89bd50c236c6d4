"""Handle the overrides (`key=value`) of a command line in Hydra's grammar: quote, check and expand them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vision2.basics.errors import UserError, suggest
from vision2.config.checks import LEAVES, section_problem, unknown_key, value_problem
from vision2.config.location import GROUPS, options
from vision2.config.plugins import plugin_problem
from vision2.config.schema import Config

BARE_ITEM = re.compile(r"""[^\[\]{},:'"]*[^\x00-\x7f][^\[\]{},:'"]*""")  # an item of a list or dict with a non-ASCII letter
PLAIN_ITEM = re.compile(r"[A-Za-z0-9_./-]+")
TYPE_NAMES = {  # the first key that occurs in a field's annotation
    "RuleConfig": "a list of {match: PATTERN, lr_scale: NUMBER, frozen: true|false}",
    "list[float]": "a list of numbers, e.g. [0.5,0.75]",
    "list[int]": "a list of whole numbers, e.g. [5,20]",
    "list": "a list, e.g. [cat,dog]",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
}


@cache
def typed_defaults() -> DictConfig:
    """The schema with its default values, for checks of types; shared, so it must not be changed."""
    return OmegaConf.structured(Config)


@cache
def _probe() -> DictConfig:
    """A copy of the schema into which values are set to see whether their type fits; nothing else reads it."""
    return deepcopy(typed_defaults())


@cache
def parse(override: str) -> Override:
    """Parse one override; raises `HydraException` for text that is not in Hydra's grammar."""
    return OverridesParser.create().parse_override(override)


def quote_overrides(overrides: Sequence[str]) -> list[str]:
    """The overrides with quotes around values that Hydra cannot read unquoted, such as paths with ñ, ☕ or (1)."""
    return [_quoted(override) for override in overrides]


def _quoted(override: str) -> str:
    key, equals, value = override.partition("=")
    if key == "prediction" and value[:1] not in ("'", '"'):  # a sentence, whatever it contains
        return f"{key}={_in_quotes(value)}"
    if "," in value and _exists(value):  # an existing path, not several values
        return f"{key}={_in_quotes(value)}"
    if _is_readable(override):
        return override
    text = BARE_ITEM.sub(lambda found: _in_quotes(found[0].strip()), value) if value[:1] in "[{" else _in_quotes(value)
    candidate = f"{key}{equals}{text}"
    return candidate if equals and _is_readable(candidate) else override


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError):  # not to be looked at, or ~ of an unknown user
        return False


def _is_readable(override: str) -> bool:
    try:
        parse(override)
    except HydraException:
        return False
    return True


def _in_quotes(text: str) -> str:
    return QuotedString(text, Quote.single).with_quotes()


def list_of(names: str) -> str:
    """`a, b` or `[a,b]` as the value of an override, with quotes where Hydra needs them; blank names are left out."""
    names = names[1:-1] if names.startswith("[") and names.endswith("]") else names
    items = [name.strip() for name in names.split(",") if name.strip()]
    return f"[{','.join(name if PLAIN_ITEM.fullmatch(name) else _in_quotes(name) for name in items)}]"


def check_overrides(overrides: Sequence[str]) -> None:
    """Check each override by itself, so that all mistakes are reported at once.

    Raises:
        UserError: with one line per unknown option, unknown key, wrong type or value out of range.
    """
    problems = []
    for override in overrides:
        try:
            problems += _problems_of(override)
        except HydraException:  # not key=value, or values that cannot be enumerated, such as glob(*)
            problems.append(f"cannot read '{override}': settings are written key=value, e.g. train.epochs=5")
    keys = {override.lstrip("+").partition("=")[0] for override in overrides}
    if "dataset.root" in keys and not keys & {"dataset", "dataset.name", "experiment", "resume", "mode"}:
        problems.append(
            "dataset.root is set without dataset; add dataset=folder, or dataset=NAME of the data set in that place"
        )
    if problems:
        raise UserError(*problems)


def _problems_of(override: str) -> list[str]:
    parsed = parse(override)
    key = parsed.key_or_group
    if parsed.is_hydra_override():
        return [problem for text in expand(override) if (problem := plugin_problem(key, parse(text).value()))]
    if parsed.is_delete():
        return [f"'~{key}' would remove a setting; write {key}=VALUE instead"]
    values = [parse(text).value() for text in expand(override)]
    if key in GROUPS:
        allowed = [*options(key), *(["null"] if key == "experiment" else [])]
        wanted = ["null" if value is None else value for value in values]
        return [f"unknown {key} '{value}'{suggest(value, allowed)}" for value in wanted if value not in allowed]
    problem = unknown_key(key) or section_problem(key)
    if problem:
        return [problem]
    return [problem for value in values if (problem := _type_or_value_problem(key, value))]


def _type_or_value_problem(key: str, value: Any) -> str | None:
    if isinstance(value, str) and "${" in value:
        return None
    if value == "" and "str" in str(LEAVES[key].type):
        return f"{key} is empty (an unset variable?); give a value or leave it out"
    try:
        OmegaConf.update(_probe(), key, value)
        value = OmegaConf.select(_probe(), key)
    except OmegaConfBaseException:
        wanted = str(LEAVES[key].type)
        kind = next((text for name, text in TYPE_NAMES.items() if name in wanted), "of another type")
        return f"{key} is {'null' if value is None else repr(str(value))}; it must be {kind}"
    return value_problem(key, value)


def is_sweep(override: str) -> bool:
    return parse(override).is_sweep_override()


def expand(override: str) -> list[str]:
    """Split `model=a,b` into [`model=a`, `model=b`]; an override with one value is returned unchanged, in a list."""
    parsed = parse(override)
    if not parsed.is_sweep_override():
        return [override]
    return [f"{parsed.get_key_element()}={value}" for value in parsed.sweep_string_iterator()]
