"""`make bench`: measure every documented speed, one script after another so that they do not compete for the machine.

python scripts/bench.py [photos=FOLDER] [weights=FILE] [pairs=3] [readme=README.md]

photos=FOLDER: images in FOLDER/CLASS/*.jpg; weights=FILE: MobileNet v2 weights with torchvision's names; pairs=N: how often
each comparison is repeated; readme=FILE: also replace the speed table in FILE, between its markers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from bench_rows import ROWS_FILE, Row, read_rows

SCRIPTS = ("bench_baselines.py", "bench_runner.py", "bench_data.py")
BEGIN, END = "<!-- speed table: made by scripts/bench.py -->", "<!-- end of speed table -->"


def main() -> int:
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    readme = options.pop("readme", None)
    here, failed = Path(__file__).resolve().parent, 0
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        rows.touch()
        for name in SCRIPTS:
            print(f"== {name}", flush=True)
            words = [f"{key}={value}" for key, value in options.items()]
            failed |= subprocess.run([sys.executable, here / name, *words], env={**os.environ, ROWS_FILE: str(rows)}).returncode
        table = table_of(read_rows(rows), own_photos="photos" in options)
    print(f"\n{table}")
    if readme and not failed:
        replace_table(Path(readme), table)
    return failed


def table_of(rows: list[Row], own_photos: bool) -> str:
    """The machine in one sentence and the rows as Markdown."""
    import torch

    from vision2.basics.threads import usable_cores
    from vision2.runs.environment import processor_name

    machine = f"{usable_cores()} cores of an {processor_name()} ({torch.backends.cpu.get_cpu_capability()})"
    photos = "real photographs" if own_photos else "made-up photographs"
    lines = [
        f"Measured on {date.today()}, {machine}, no GPU, torch {torch.__version__}, {photos}; median (minimum to maximum).",
        "",
    ]
    lines += ["| what | measured | target |", "|---|---|---|"]
    return "\n".join(lines + [f"| {row.what.strip()} | {row.value} | {row.target} |" for row in rows])


def replace_table(path: Path, table: str) -> None:
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"{path} has no speed table: it needs the lines {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
