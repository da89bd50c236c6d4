"""Check every file of a data set before it is trained on; nothing is changed.

    python -m vision2.audit dataset=folder dataset.root=FOLDER [out=FOLDER]

Decodes each image fully and reports, as text, audit.json and a page with thumbnails (audit.html): counts per class and
split, files that cannot be decoded, unusual colour modes and sizes, exact and near duplicates within and across splits.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    from vision2.config.schema import Config

OPTIONS = {"out": Option(None, "folder for audit.txt, audit.json and audit.html; by default output_dir/audit/DATASET-ROOT")}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run)


def run(config: Config, options: dict) -> None:
    from vision2.basics.safe_text import printable
    from vision2.data.files.locations import data_name
    from vision2.report.audit_page import FILES, write_audit

    name = data_name(config.dataset.name, config.dataset.root)
    folder = Path(options["out"] or Path(config.output_dir) / "audit" / name).expanduser()
    text = write_audit(config.dataset, folder, seed=config.seed)
    print(f"{text}\nwritten: {printable(str(folder))}/{', '.join(FILES)}")


if __name__ == "__main__":
    sys.exit(main())
