"""The YAML tree and the schema agree: every leaf is read somewhere, every file says what it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from vision2.config.fields import LEAVES
from vision2.config.location import GROUPS, config_folder

SOURCES = "\n".join(
    file.read_text()
    for file in (Path(__file__).resolve().parent.parent / "vision2").rglob("*.py")
    if file.name not in ("schema.py", "checks.py", "saved.py", "identity.py")
)


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_no_setting_is_dead(leaf):
    assert f".{leaf.rsplit('.', 1)[-1]}" in SOURCES or f'"{leaf}"' in SOURCES


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
