"""Every command, by purpose, with the line that `vision2` shows: a new command is a module of this name and a line here."""

from __future__ import annotations

from typing import NamedTuple

from vision2.basics.errors import UserError, suggest


class Command(NamedTuple):
    """`takes_settings`: whether it composes a configuration, so that all of `docs/configuration.md` can be typed."""

    line: str
    takes_settings: bool = True


PURPOSES = {
    "look at the images": {
        "audit": Command("find damaged, suspicious and duplicated files in a data set"),
        "preview": Command("show the images exactly as a network sees them, with augmentation"),
    },
    "plan": {
        "summary": Command("show a network stage by stage, and what it costs; model=a,b,c compares several"),
        "cost": Command("calculate the multiplications of convolutions, as in the lecture", takes_settings=False),
        "advise": Command("recommend a strategy for a data set, with the numbers behind it"),
        "doctor": Command("examine machine, data, network and learning rate before a run"),
    },
    "train and compare": {
        "train": Command("train, evaluate, resume, sweep (-m), or run an experiment of the lecture"),
        "compare": Command("does transfer help here? train with and without it on one budget"),
        "few_shot": Command("measure accuracy with 1 to 50 images per class over many draws"),
        "zero_shot": Command("recognise classes that have no training image"),
        "report": Command("make a page, tables and figures from any folder of runs", takes_settings=False),
    },
    "use a trained network": {
        "predict": Command("predict the classes of new images"),
        "export": Command("export to ONNX or torch.export, and check the result"),
    },
    "housekeeping": {
        "cache": Command("list or clear the cached images and features", takes_settings=False),
        "completion": Command("print the script that completes commands and settings in a shell", takes_settings=False),
    },
}
COMMANDS = {name: command for commands in PURPOSES.values() for name, command in commands.items()}


def overview() -> str:
    """All commands, grouped by purpose, one line each."""
    width = max(map(len, COMMANDS)) + 2
    lines = ["vision2 trains, compares and explains image classifiers. Type vision2 COMMAND --help for more.", ""]
    for purpose, commands in PURPOSES.items():
        lines += [f"{purpose}:", *(f"  {name:{width}}{command.line}" for name, command in commands.items()), ""]
    return "\n".join([*lines, "Each is also `python -m vision2.COMMAND`; settings are written key=value."])


def known_command(name: str) -> str:
    """The name itself.

    Raises:
        UserError: for a command that does not exist.
    """
    if name not in COMMANDS:
        raise UserError(f"unknown command '{name}'{suggest(name, COMMANDS)}")
    return name
