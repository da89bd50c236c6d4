"""Packages import only from those below them; the rule is in the README's map of the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "vision2"
# Each package and those below it that it may import; all may import `basics` and the plain `settings` of each package.
MAY_IMPORT = {
    "basics": set(),
    "models": set(),
    "data": set(),
    "runs": set(),
    "stats": set(),
    "pictures": {"runs"},
    "report": {"runs", "stats", "pictures", "data", "faults.table"},
    "training": {"models", "data", "stats", "runs", "profiling.count"},
    "features": {"models", "data", "runs", "stats", "training", "profiling"},
    "meta": {"models", "data", "stats", "training"},
    "zeroshot": {"models", "data", "stats", "training", "features"},
    "strategies": {"training", "features", "meta", "zeroshot"},
    "profiling": {"models", "runs", "pictures", "training.precision", "training.optimizer"},
    "inference": {"models", "data", "runs", "pictures", "features", "training"},
    "checkup": {"models", "data", "features", "pictures", "runs", "training"},
    "faults": {"data", "models", "training"},
    "config": {"models", "data", "strategies", "faults.table"},
    "jobs": {
        "config",
        "data",
        "experiment",
        "features",
        "inference",
        "meta",
        "models",
        "pictures",
        "preparation",
        "report",
        "runs",
        "stats",
        "strategies",
        "training",
        "zeroshot",
    },
}
HEAVY = {"torch", "torchvision", "timm", "sklearn", "matplotlib"}
LIGHT_FILES = [
    "train.py",
    "config/*.py",
    "**/settings.py",
    "data/datasets/__init__.py",
    "models/cards.py",
    "faults/table.py",
    "basics/*.py",
]


def imports_of(file: Path) -> list[tuple[str, int]]:
    """Modules of vision2 that a file imports, also inside functions."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found += [(name.removeprefix("vision2."), node.lineno) for name in names if name.startswith("vision2.")]
    return found


def allowed(name: str, prefixes: set[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_from_those_below_it(package):
    wrong = [
        f"{file.relative_to(PACKAGE)}:{line} imports vision2.{name}"
        for file in sorted((PACKAGE / package).rglob("*.py"))
        if file.name != "__main__.py"  # a command, `python -m vision2.report`
        for name, line in imports_of(file)
        if not allowed(name, {"basics", package} | MAY_IMPORT[package]) and not name.endswith(".settings")
    ]
    assert not wrong


def test_the_map_of_the_code_in_the_readme_names_files_that_exist():
    text = (PACKAGE.parent / "README.md").read_text().partition("## The code")[2]
    named = set(re.findall(r"`((?:conf/)?[\w/]+(?:/|\.py))`", text))
    assert len(named) > 15
    assert not [name for name in named if not any((root / name).exists() for root in (PACKAGE, PACKAGE.parent))]


def test_only_the_config_package_and_the_commands_use_hydra():
    imports_hydra = re.compile(r"^\s*(from|import) (hydra|omegaconf)", re.MULTILINE)
    others = [package for package in MAY_IMPORT if package != "config"]
    files = [file for package in others for file in sorted((PACKAGE / package).rglob("*.py"))]
    assert not [file.name for file in files if imports_hydra.search(file.read_text())]


def test_help_and_configuration_errors_import_nothing_heavy():
    wrong = []
    for file in [file for name in LIGHT_FILES for file in sorted(PACKAGE.glob(name))]:
        for node in ast.parse(file.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong += [f"{file.name} imports {name} when loaded" for name in names if name.split(".")[0] in HEAVY]
    assert not wrong


def test_a_run_of_our_own_network_imports_no_library_it_does_not_use():
    """torchvision and timm take seconds to import; our residual networks need neither."""
    code = (
        "import sys, vision2.jobs.sweep; from vision2.models.settings import ModelConfig;"
        "from vision2.models.build import build_model;"
        "build_model(ModelConfig('resnet20'), 10, seed=0);"
        "print([name for name in ('torchvision', 'timm', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.stdout.strip() == "[]", done.stderr
