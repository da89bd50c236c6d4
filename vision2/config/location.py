"""Where the configuration tree is: inside an installed package, or next to it in a checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
GROUPS = ("model", "dataset", "strategy", "experiment")


def config_folder() -> Path:
    """`vision2/conf` (wheel) if it exists, else `conf` next to the package (checkout), as an absolute path."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parent / "conf"


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (config_folder() / group).glob("*.yaml"))
