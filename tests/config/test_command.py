"""What every command shares: options, one line per mistake, exit codes."""

from __future__ import annotations

import pytest

from vision2.basics.errors import UserError
from vision2.basics.place import VARIABLES
from vision2.config.command import Option, run_command

OPTIONS = {"images": Option(None, "a folder"), "top": Option(5, "classes", int), "gradcam": Option(False, "maps", bool)} | {
    "tolerance": Option(1e-4, "difference", float)
}


FULL = "No space left on device; free some space or write to another disk\n"


def ended(capsys, *arguments, run=lambda config, options: None, composes=lambda overrides: overrides):
    code = run_command(arguments, doc="Doc.", options=OPTIONS, run=run, composes=composes)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("image=x", "unknown setting 'image', did you mean 'images'?"),
        ("top=many", "top is 'many'; it must be a whole number"),
        ("tolerance=low", "tolerance is 'low'; it must be a number"),
        ("gradcam=yes", "gradcam is 'yes'; it must be true or false"),
        ("images", "settings are written key=value, did you mean 'images'?"),
    ],
)
def test_a_mistake_in_an_option_is_one_line_with_code_2(word, message, capsys):
    assert ended(capsys, word) == (
        2,
        f"error: {'cannot read ' + repr(word) + ': ' if '=' not in word else ''}{message}\n",
    )


def test_other_arguments_are_settings_of_the_configuration(capsys):
    seen = {}
    code, _ = ended(
        capsys,
        "top=3",
        "model=resnet20",
        "mode=eval",
        run=lambda config, options: seen.update(options, overrides=config),
    )
    assert code == 0
    assert seen == {"images": None, "top": 3, "gradcam": False, "tolerance": 1e-4, "overrides": ["model=resnet20", "mode=eval"]}


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (UserError("a", "b"), 2, "error: a\nerror: b\n"),
        (PermissionError(13, "Permission denied", "/x/y"), 2, "error: /x/y: Permission denied; change its permissions\n"),
        (OSError(28, "No space left on device", "/x/y"), 2, f"error: /x/y: {FULL}"),
        (OSError(28, "No space left on device"), 2, f"error: {FULL}"),
        (KeyboardInterrupt(), 130, "stopped\n"),
        (BrokenPipeError(), 0, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_a_command_ends(raised, code, message, capsys):
    def run(config, options):
        raise raised

    assert ended(capsys, run=run) == (code, message)


def test_a_path_that_cannot_be_used_names_the_setting_that_leads_to_it(capsys):
    def run(config, options):
        raise PermissionError(13, "Permission denied", "/x/y")

    message = "error: /x/y: Permission denied; change its permissions, or set images to another path\n"
    assert ended(capsys, "top=3", "images=/x", run=run) == (2, message)


def test_a_command_that_processes_cannot_share_is_refused(monkeypatch, capsys):
    for name, value in zip(VARIABLES, ("0", "2", "0", "2", "localhost", "1"), strict=True):
        monkeypatch.setenv(name, value)
    assert run_command([], doc="", options={}, run=lambda options: pytest.fail("it ran"), composes=False) == 2
    assert capsys.readouterr().err.startswith("error: torchrun started 2 processes, but only vision2.train can be shared")
