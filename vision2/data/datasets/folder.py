"""Your own images: class folders, train/val/test folders, a zip or tar of either, or a CSV list. See `layouts.read_layout`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision2.data.files.layouts import read_layout

if TYPE_CHECKING:
    from vision2.data.collection import Collection
    from vision2.data.settings import DatasetConfig


def find(config: DatasetConfig) -> Collection:
    """Read the images at `config.root`. Raises UserError as `read_layout` does."""
    return read_layout(config.root, config)
