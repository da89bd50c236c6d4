"""The YAML tree and the schema agree: every setting is used somewhere, every file says what it is."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from vision2.config.checks import LEAVES
from vision2.config.location import GROUPS, config_folder

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "vision2"
# Packages that receive one group of settings and call it `config`.
CALLED_CONFIG_IN = {"dataset": "data", "episodes": "meta", "weights": "models", "": ""}


def reads() -> set[tuple[str, str, str]]:
    """(package, receiver, attribute) of every attribute the package reads: `config.dataset.root` is (.., "dataset", "root")."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        if file.name in ("schema.py", "checks.py", "saved.py", "identity.py"):
            continue
        package = file.relative_to(PACKAGE).parts[0] if file.parent != PACKAGE else ""
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                receiver = getattr(node.value, "id", getattr(node.value, "attr", ""))
                found.add((package, receiver, node.attr))
    return found


def is_read(leaf: str, found: set[tuple[str, str, str]]) -> bool:
    *groups, name = leaf.split(".")
    group = groups[-1] if groups else ""
    receivers = {receiver for _, receiver, attribute in found if attribute == name}
    by_package = (CALLED_CONFIG_IN.get(group), "config", name) in found
    return group in receivers or by_package or (not groups and bool(receivers & {"config", "node", "_root_"}))


def test_no_setting_is_unused():
    found = reads()
    assert not [leaf for leaf in LEAVES if not is_read(leaf, found)]


def test_every_option_says_what_it_is_in_its_first_line():
    files = [file for group in GROUPS for file in (config_folder() / group).glob("*.yaml")]
    assert len(files) > 80
    assert not [file.name for file in files if not file.read_text().startswith("# ")]


def test_the_page_of_settings_matches_the_schema():
    spec = importlib.util.spec_from_file_location("document_settings", ROOT / "scripts" / "document_settings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "|  |\n" not in module.page(), "a setting has no comment, so its meaning is missing"
    assert module.PAGE.read_text() == module.page(), "run: python scripts/document_settings.py"
