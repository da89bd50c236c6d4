"""An audit as one self-contained page with thumbnails inside."""

from __future__ import annotations

import io

from PIL import Image

from vision2.data.audit.findings import Audit
from vision2.data.audit.inspection import BAD_KINDS, KINDS
from vision2.data.audit.text import headline, verdicts
from vision2.data.files.decode import BadImage, decode_image
from vision2.report.page import data_uri, render

THUMBNAIL_PX = 112
SHOWN = 24  # files per kind and groups per list; the rest is in the JSON
SHOWN_OF_GROUP = 6


def page(audit: Audit) -> str:
    """The audit as HTML; each thumbnail is decoded when its turn comes."""
    files = {entry.id: entry for entry in audit.collection.files}

    def thumbnail(file: dict) -> str | None:
        try:
            picture = Image.fromarray(decode_image(files[file["path"]].read_bytes()))
        except (BadImage, OSError):  # gone since the audit read it
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
        kinds=KINDS,
        bad_kinds=BAD_KINDS,
        thumbnail=thumbnail,
        shown=SHOWN,
        shown_of_group=SHOWN_OF_GROUP,
    )
