"""Your own images: class folders, train/val/test folders, a zip of either, or a CSV list. See `layouts.read_layout`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.data.files.layouts import read_layout

if TYPE_CHECKING:
    from vision2.data.collection import Collection
    from vision2.data.settings import DatasetConfig


def find_files(config: DatasetConfig, show_progress: bool = True) -> Collection:
    """Raises UserError without a root, or for what `read_layout` refuses."""
    if config.root is None:
        raise UserError(
            "dataset=folder needs dataset.root=FOLDER (class folders, or train/ val/ test/), a zip, or a CSV list"
        )
    return read_layout(Path(config.root).expanduser())
