"""Everything about a data set's files that can spoil a result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.atomic_write import write_json, write_text
from vision2.data.audit.findings import audit
from vision2.data.audit.page import page
from vision2.data.audit.text import text

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig


def write_audit(config: DatasetConfig, folder: Path, *, seed: int) -> str:
    """Write audit.txt, audit.json and audit.html into `folder`; returns the text.

    Raises:
        UserError: for a data set without image files, or a folder that cannot be written.
    """
    found = audit(config, seed=seed)
    written = text(found.findings)
    write_text(folder / "audit.txt", written)
    write_json(folder / "audit.json", found.findings)
    write_text(folder / "audit.html", page(found))
    return written
