"""The YAML tree and the schema agree: every leaf is read somewhere, every file says what it is."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from vision2.config.fields import LEAVES
from vision2.config.location import GROUPS, config_folder

PACKAGE = Path(__file__).resolve().parent.parent / "vision2"
# Rooms that are handed one group of settings and call it `config`.
CALLED_CONFIG_IN = {"dataset": "data", "weights": "models", "": ""}


def reads() -> set[tuple[str, str, str]]:
    """(room, receiver, attribute) of every attribute the package reads: `config.dataset.root` is (.., "dataset", "root")."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        if file.name in ("schema.py", "checks.py", "saved.py", "identity.py"):
            continue
        room = file.relative_to(PACKAGE).parts[0] if file.parent != PACKAGE else ""
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                receiver = getattr(node.value, "id", getattr(node.value, "attr", ""))
                found.add((room, receiver, node.attr))
    return found


READS = reads()


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_no_setting_is_dead(leaf):
    *groups, name = leaf.split(".")
    group = groups[-1] if groups else ""
    receivers = {receiver for _, receiver, attribute in READS if attribute == name}
    by_room = (CALLED_CONFIG_IN.get(group), "config", name) in READS
    assert group in receivers or by_room or (not groups and receivers & {"config", "node", "_root_"})


@pytest.mark.parametrize(
    "file",
    [f for group in GROUPS for f in sorted((config_folder() / group).glob("*.yaml"))],
    ids=lambda f: f"{f.parent.name}/{f.stem}",
)
def test_every_option_says_what_it_is_in_its_first_line(file):
    assert file.read_text().startswith("# ")


def test_the_page_of_settings_is_what_the_schema_says():
    script = Path(__file__).resolve().parent.parent / "scripts" / "document_settings.py"
    spec = importlib.util.spec_from_file_location("document_settings", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "|  |\n" not in module.page(), (
        "a setting without a meaning: a comment in vision2/config/schema.py is missing"
    )
    assert module.PAGE.read_text() == module.page(), "run: python scripts/document_settings.py"
