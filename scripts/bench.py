"""`make bench`: measure every documented speed, one script after another so that they do not compete for the machine.

python scripts/bench.py [photos=FOLDER] [weights=FILE]

photos=FOLDER: images in FOLDER/CLASS/*.jpg; weights=FILE: MobileNet v2 weights.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = ("bench_runner.py", "bench_data.py", "bench_transfer.py")


def main() -> int:
    failed = 0
    for name in SCRIPTS:
        print(f"== {name}", flush=True)
        failed |= subprocess.run([sys.executable, str(Path(__file__).resolve().parent / name), *sys.argv[1:]]).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
