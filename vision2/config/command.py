"""What all commands `python -m vision2.X key=value ...` share: own options, the composed configuration, one-line errors."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from vision2.basics.errors import UserError, is_disk_full, suggest
from vision2.basics.place import own_place
from vision2.basics.process import prepare_process
from vision2.basics.signals import stopping_on_signals
from vision2.config.checks import unknown_key
from vision2.config.location import GROUPS

USER_MISTAKE = 2  # exit code


@dataclass(frozen=True)
class Option:
    """One `key=value` that belongs to a command and not to the configuration."""

    default: Any
    help: str
    kind: type = str


def fail(error: UserError) -> int:
    """Print each problem on its own line of stderr; return the exit code."""
    for problem in error.problems:
        print(f"error: {problem}", file=sys.stderr)
    return USER_MISTAKE


def split_options(arguments: Sequence[str], options: dict[str, Option]) -> tuple[dict[str, Any], list[str]]:
    """Return (the values of a command's own options, the other arguments, which override the configuration).

    Raises:
        UserError: for a value of the wrong kind, or an argument that is not key=value.
    """
    values, overrides = {name: option.default for name, option in options.items()}, []
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not equals:
            raise UserError(f"cannot read '{argument}': settings are written key=value{suggest(argument, options)}")
        if name in options:
            values[name] = _converted(name, text, options[name].kind)
        elif name not in GROUPS and unknown_key(name) and get_close_matches(name, options, n=1, cutoff=0.75):
            raise UserError(f"unknown setting '{name}'{suggest(name, options)}")
        else:
            overrides.append(argument)
    return values, overrides


def _converted(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise UserError(f"{name} is '{text}'; it must be true or false")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError as error:
        raise UserError(f"{name} is '{text}'; it must be a {'whole ' if kind is int else ''}number") from error


def refuse_unused(values: dict[str, Any], options: dict[str, Option], used: Sequence[str], given: str) -> None:
    """Refuse the options that have no effect with the option `given`.

    Raises:
        UserError: for each option that is neither in `used` nor at its default.
    """
    unused = [name for name, option in options.items() if name not in used and values[name] != option.default]
    if unused:
        raise UserError(*(f"{name}={values[name]} has no effect {given}; leave it out" for name in unused))


def whole_numbers(name: str, text: str, example: str) -> list[int]:
    """The numbers in `1,5,20`, in order, without duplicates.

    Raises:
        UserError: for anything else.
    """
    try:
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise UserError(f"{name} is '{text}'; it must be whole numbers separated by commas, e.g. {example}") from error


def run_command(
    argv: Sequence[str] | None,
    *,
    doc: str,
    options: dict[str, Option],
    run: Callable[..., int | None],
    composes: bool | Callable[[list[str]], Any] = True,
) -> int:
    """Run a command: `run(config, options)`, or `run(options)` when it composes no configuration.

    Args:
        composes: makes the configuration from the overrides; True means `load_config`, False none.

    Returns:
        The exit code: what `run` returns (None means 0), 2 for a `UserError` and for files that cannot be read or
        written, 130 for Ctrl-C, 143 for SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if any(argument in ("-h", "--help", "help") for argument in arguments):
            print(_help(doc, options, composes), flush=True)
            return 0
        values, overrides = split_options(arguments, options)
        if (processes := own_place().size) > 1:
            raise UserError(f"torchrun started {processes} processes, but only vision2.train can be shared; leave out torchrun")
        prepare_process()
        with stopping_on_signals():
            if composes:
                from vision2.config.compose import load_config

                return run((load_config if composes is True else composes)(overrides), values) or 0
            if overrides:
                raise UserError(*(f"unknown setting '{o}'{suggest(o.partition('=')[0], options)}" for o in overrides))
            return run(values) or 0
    except UserError as error:
        return fail(error)
    except KeyboardInterrupt as stop:
        print("stopped", file=sys.stderr)
        return 128 + getattr(stop, "number", signal.SIGINT)
    except BrokenPipeError:
        return 0
    except OSError as error:
        return fail_for_file(error, arguments)


def fail_for_file(error: OSError, arguments: Sequence[str]) -> int:
    """Print which file could not be read or written and what to do about it; raises an error that concerns no file again."""
    if error.filename is None and not is_disk_full(error):
        raise error
    place = f"{error.filename}: " if error.filename else ""
    remedy = "free some space or write to another disk" if is_disk_full(error) else _remedy(error, arguments)
    return fail(UserError(f"{place}{error.strerror}; {remedy}"))


def _remedy(error: OSError, arguments: Sequence[str]) -> str:
    """What to do about a path that cannot be used, with the setting on the command line that leads to it."""
    path = Path(str(error.filename)).absolute()
    remedy = "change its permissions" if isinstance(error, PermissionError) else "check this path"
    for argument in (*arguments, "output_dir=outputs"):
        key, _, value = argument.partition("=")
        if value and path.is_relative_to(Path(value).expanduser().absolute()):
            return f"{remedy}, or set {key} to another path"
    return remedy


def _help(doc: str, options: dict[str, Option], composes: object) -> str:
    rows = "\n".join(f"  {f'{name}={option.default}':32} {option.help}" for name, option in options.items())
    more = "\n\nEvery setting of `python -m vision2.train --help` works here too." if composes else ""
    return f"{doc.strip()}\n\nOptions (with their defaults):\n{rows}{more}"
