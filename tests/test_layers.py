"""Imports point downwards only; the rule is in the README's map of the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "vision2"
PLAIN = {"basics", "config.schema", "config.location"}
# Each room and what it may import besides itself and the plain values.
MAY_IMPORT = {
    "basics": set(),
    "config": {"models.facts", "config", "training.checkpoint"},
    "models": set(),
    "data": set(),
    "runs": set(),
    "analysis": {"models", "data", "runs"},
    "transfer": {"models", "data", "runs", "analysis", "training"},
    "training": {"models", "data", "runs", "analysis", "transfer.rules"},
}
HEAVY = {"torch", "torchvision", "timm", "sklearn", "matplotlib"}
LIGHT_FILES = ["train.py", "config/*.py", "models/facts.py", "basics/*.py"]


def imports_of(file: Path) -> list[tuple[str, int]]:
    """Modules of this package that a file imports, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found += [(name.removeprefix("vision2."), node.lineno) for name in names if name.startswith("vision2.")]
    return found


def allowed(name: str, prefixes: set[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_lies_below_it(room):
    wrong = [
        f"{file.relative_to(PACKAGE)}:{line} imports vision2.{name}"
        for file in sorted((PACKAGE / room).rglob("*.py"))
        for name, line in imports_of(file)
        if not allowed(name, PLAIN | {room} | MAY_IMPORT[room])
    ]
    assert not wrong


def test_only_the_configuration_room_and_the_commands_know_hydra():
    wrong = []
    for file in sorted(PACKAGE.rglob("*.py")):
        room = file.relative_to(PACKAGE).parts[0]
        text = file.read_text()
        if (
            room in MAY_IMPORT
            and room != "config"
            and ("import hydra" in text or "from hydra" in text or "omegaconf" in text)
        ):
            wrong.append(str(file.relative_to(PACKAGE)))
    assert not wrong


def test_help_and_configuration_errors_load_nothing_heavy():
    files = [
        file
        for name in LIGHT_FILES
        for file in ([PACKAGE / name] if name.endswith(".py") else (PACKAGE / name).glob("*.py"))
    ]
    wrong = []
    for file in files:
        for node in ast.parse(file.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong += [f"{file.relative_to(PACKAGE)} imports {n} when loaded" for n in names if n.split(".")[0] in HEAVY]
    assert not wrong
