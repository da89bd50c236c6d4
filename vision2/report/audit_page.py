"""Write an audit as text, as JSON and as one self-contained page with embedded thumbnails."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from vision2.basics.atomic_write import write_json, write_text
from vision2.basics.written import WrittenFiles
from vision2.data.audit.findings import Audit, audit
from vision2.data.audit.inspection import BAD_KINDS, KINDS
from vision2.data.audit.text import crop_sentence, headline, text, verdicts
from vision2.data.files.decode import BadImage, decode_entry
from vision2.report.page import data_uri, render

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig

FILES = ("audit.txt", "audit.json", "audit.html")
THUMBNAIL_PX = 112
SHOWN = 24  # files per kind and groups per list; the rest are in audit.json
SHOWN_OF_GROUP = 6


def write_audit(dataset: DatasetConfig, folder: Path, *, seed: int) -> str:
    """Audit the files of a data set, write the results to `folder` and return the text.

    Raises:
        UserError: if the data set has no files, or a file that vision2 did not write already has one of these names.
    """
    files = WrittenFiles(folder, *FILES)
    found = audit(dataset, seed=seed)
    written = text(found.findings)
    write_text(files.path("audit.txt"), written)
    write_json(files.path("audit.json"), found.findings)
    write_text(files.path("audit.html"), page(found))
    return written


def page(audit: Audit) -> str:
    """The audit as HTML; thumbnails are decoded one at a time, as the template needs them."""
    files = {entry.id: entry for entry in audit.collection.files}

    def thumbnail(file: dict) -> str | None:
        try:
            picture = Image.fromarray(decode_entry(files[file["path"]]))
        except BadImage:  # deleted or damaged since the audit read it
            return None
        picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=80)
        return data_uri(stream.getvalue(), "jpeg")

    findings = audit.findings
    return render(
        "audit.html",
        language="en",
        title=f"Audit of {findings['dataset']}",
        headline=headline(findings),
        findings=findings,
        verdicts=verdicts(findings),
        crop=crop_sentence(findings),
        kinds=KINDS,
        bad_kinds=BAD_KINDS,
        thumbnail=thumbnail,
        shown=SHOWN,
        shown_of_group=SHOWN_OF_GROUP,
    )
