"""Where downloaded and decoded images are kept when the user names no place."""

from __future__ import annotations

import os
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.data.files.listing import existing_folder
from vision2.data.settings import DatasetConfig


def cache_root(cache_dir: str | None) -> Path:
    """`dataset.cache_dir`, else $VISION2_CACHE, else ~/.cache/vision2. Not created."""
    given = cache_dir or os.environ.get("VISION2_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "vision2"


def download_folder(config: DatasetConfig) -> Path:
    """Where downloads of this data set lie: in `dataset.root` when given, else in the cache.

    Raises:
        UserError: for a root that does not exist; a typing slip must not start a download.
    """
    if config.root is None:
        return cache_root(config.cache_dir) / "downloads" / config.name
    return existing_folder(Path(config.root).expanduser(), "dataset.root")


def absent(config: DatasetConfig, what: str, looked_for: str, remedy: str) -> UserError:
    """The one sentence for a data set that is not there: what is missing, where it was looked for, what to type."""
    return UserError(f"dataset={config.name}: {what} not found (looked for {looked_for}): {remedy}")
