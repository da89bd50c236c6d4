"""Kill runs at random moments, recover them as a user would, and compare them bit by bit with the uninterrupted runs.

    python scripts/kill_runs.py [--minutes 10] [--kills 300] [--seed 0]

Kinds of runs: training on photographs, a linear classifier trained on stored features, a classifier fitted in one step, and
a sweep of two runs with its report. Each kill is SIGKILL, SIGTERM or Ctrl-C at a random moment of the phase with the fewest
kills so far. Recovery is `resume=FOLDER`, or the same command again if there is no run folder yet; a third of the recoveries
are killed too. The exit code is 1 if a folder was unusable or a result differed.
"""

from __future__ import annotations

import argparse
import importlib
import mmap
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import ModuleType

# set before torch is imported: forked children do not inherit threads
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import numpy as np
import torch
from PIL import Image

from vision2 import experiment, train
from vision2.data.store import store
from vision2.features import probe
from vision2.report import build
from vision2.runs.read import read_runs, run_folders
from vision2.runs.records import RunRecord
from vision2.training import epochs, recorder

PHASES = ("start", "decoding", "features", "epoch", "checkpoint", "finish", "report")
PLACES: tuple[tuple[str, ModuleType | type, str], ...] = (
    ("decoding", store, "_build"),
    ("features", probe, "split_features"),
    ("epoch", epochs.EpochFit, "_epoch"),
    ("checkpoint", recorder, "save_checkpoint"),
    ("finish", experiment, "_finish"),
    ("report", build, "write_report"),
)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TIMED = {"seconds", "images_per_second", "features_per_second", "data_wait_share", "train_seconds"}
SHARED = [
    "dataset=folder", "dataset.image_size_px=16", "model=resnet20", "train.batch_size=16", "train.epochs=3",
    "train.precision=float32", "train.ema=0.9", "device=cpu",
]  # fmt: skip
KINDS = {
    "photographs": ["strategy=scratch"],
    "features": ["strategy=feature_extraction", "strategy.classifier=linear", "strategy.source={source}", "strategy.views=2"],
    "classifier": ["strategy=feature_extraction", "strategy.classifier=logistic", "strategy.source={source}"],
    "sweep": ["-m", "seed=0,1", "strategy=scratch", "train.epochs=1"],
}

MODULES = "modules.txt"  # the modules a child imported
phase_now = mmap.mmap(-1, 1)  # shared with the children: the index of the phase they are in


def watch_phases() -> None:
    """In a child process: record its current phase in `phase_now`."""

    def watched(function, index):
        def call(*given, **named):
            before = phase_now[0]
            phase_now[0] = index
            try:
                return function(*given, **named)
            finally:
                phase_now[0] = before

        return call

    for phase, owner, name in PLACES:
        setattr(owner, name, watched(getattr(owner, name), PHASES.index(phase)))


class Child:
    """A command in a forked process, with its output in a file."""

    def __init__(self, folder: Path, words: list[str]):
        folder.mkdir(parents=True, exist_ok=True)
        self.log, self.code = folder / "output.txt", None
        phase_now[0] = 0
        self.pid = os.fork()
        if self.pid == 0:
            self._run(folder, words)

    def _run(self, folder: Path, words: list[str]) -> None:
        code = 70
        try:
            os.setsid()
            output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for stream in (1, 2):
                os.dup2(output, stream)
            os.chdir(folder)
            watch_phases()
            sys.argv = ["train", *words]
            code = train.main()
            (folder / MODULES).write_text("\n".join(sys.modules))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def wait(self) -> int:
        while not self.ended():
            time.sleep(0.005)
        return self.code


def import_what_it_imported(folder: Path) -> None:
    """Import the modules that a child imported, so that later children need not import them again."""
    for name in (folder / MODULES).read_text().splitlines():
        with suppress(Exception):
            importlib.import_module(name)


def measure(child: Child) -> dict[str, list[float]]:
    """The duration of each visit to each phase, until the child ends."""
    visits: dict[str, list[float]] = {phase: [] for phase in PHASES}
    last, since = 0, time.perf_counter()
    while not child.ended():
        now = phase_now[0]
        if now != last:
            visits[PHASES[last]].append(time.perf_counter() - since)
            last, since = now, time.perf_counter()
        time.sleep(0.0002)
    return visits


def kill_at(
    child: Child, stream: random.Random, visits: dict[str, list[float]], counts: Counter
) -> tuple[str, signal.Signals] | None:
    """Send a signal at a random moment of the phase with the fewest kills so far; None if the child ended first."""
    phase = min((name for name in PHASES if visits[name]), key=lambda name: (counts[f"phase {name}"], stream.random()))
    wanted = stream.randrange(len(visits[phase]))
    delay = stream.uniform(0, visits[phase][wanted])
    number = stream.choice(SIGNALS)
    seen, last = -1, -1
    while not child.ended():
        now = phase_now[0]
        if now != last:
            last = now
            seen += now == PHASES.index(phase)
        if seen == wanted:
            time.sleep(delay)
            if not child.ended():
                phase = PHASES[phase_now[0]]
                os.kill(child.pid, number)
                child.wait()
                return phase, number
        time.sleep(0.0002)
    return None


def make_photographs(root: Path) -> None:
    stream = np.random.default_rng(0)
    for label, name in enumerate(("ant", "bee", "cow")):
        (root / name).mkdir(parents=True)
        for index in range(40):
            patches = stream.integers(0, 256, (6, 8, 3)).astype(np.uint8)
            patches[..., label] //= 2
            picture = Image.fromarray(patches).resize((64, 48), Image.Resampling.BICUBIC)
            picture.save(root / name / f"{index:03}.jpg", quality=92)


def recorded(folder: Path) -> dict[int, Path]:
    """The completed runs below `folder`, by seed."""
    runs, _ = read_runs(folder / "outputs")
    return {run.seed: run.path for run in runs if run.completed}


def result(run_dir: Path) -> dict:
    """The results of a run that must be the same in an equal run."""
    found = {}
    for name in ("best.pt", "last.pt"):
        content = torch.load(run_dir / name, weights_only=True)
        content.pop("config")
        content["state"].pop("seconds")
        found[name] = content
    record = RunRecord(run_dir)
    found["history"] = [{key: value for key, value in row.items() if key not in TIMED} for row in record.history()]
    found["metrics"] = record.summary()["metrics"]
    with np.load(run_dir / "predictions.npz") as arrays:
        found["predictions"] = {name: arrays[name].tolist() for name in arrays.files}
    return found


def same(first: object, second: object) -> bool:
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        return isinstance(second, dict) and first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def recovery(kind: str, folder: Path, words: list[str]) -> list[str] | None:
    """The command a user would type next; None if the run is already complete."""
    if kind == "sweep":
        return [*words, "skip_finished=true"]
    begun = [path for path in run_folders(folder / "outputs") if (path / "config.yaml").exists()]
    if not begun:
        return words
    return None if recorded(folder) else [f"resume={begun[-1]}"]


def attempt(kind: str, folder: Path, words: list[str], visits: dict, stream: random.Random, counts: Counter) -> str | None:
    """Run, kill and recover (a third of the recoveries are killed too); return what is wrong with the folder, or None."""
    typed, kills_left = words, 1 + (stream.random() < 1 / 3)
    while typed is not None:
        child = Child(folder, typed)
        killed = kill_at(child, stream, visits, counts) if kills_left else None
        if killed:
            kills_left -= 1
            phase, number = killed
            counts.update(["kills", f"phase {phase}", f"signal {number.name}"])
            if child.code not in (-number, 128 + number, 0):
                return f"{kind}: {number.name} in {phase} ended with exit code {child.code}"
        else:
            code, kills_left = child.wait(), 0
            if code:
                return f"{kind}: `{' '.join(typed)}` ended with exit code {code}"
            if kind == "sweep":
                break
        if "Traceback" in child.log.read_text():
            return f"{kind}: a traceback was printed"
        typed = recovery(kind, folder, words)
    _, problems = read_runs(folder / "outputs")
    return f"{kind}: {problems[0].path}: {problems[0].reason}" if problems else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--minutes", 10.0), ("--kills", 300), ("--seed", 0)):
        parser.add_argument(name, type=type(default), default=default)
    options = parser.parse_args()
    stream, counts, wrong = random.Random(options.seed), Counter(), []
    with tempfile.TemporaryDirectory(prefix="kill-runs-") as place:
        work = Path(place)
        make_photographs(work / "photographs")
        expected, visits, commands, source = {}, {}, {}, None
        for kind, own in KINDS.items():
            folder = work / f"uninterrupted-{kind}"
            words = [word.format(source=source) for word in own] + [
                f"dataset.root={work / 'photographs'}",
                *(word for word in SHARED if word.partition("=")[0] not in {o.partition("=")[0] for o in own}),
            ]
            commands[kind] = words
            os.environ["VISION2_CACHE"] = str(folder / "cache")
            child = Child(folder, words)
            visits[kind] = measure(child)
            if child.code:
                sys.exit(child.log.read_text())
            import_what_it_imported(folder)
            expected[kind] = {seed: result(path) for seed, path in recorded(folder).items()}
            source = source or recorded(folder)[0]
        start = time.monotonic()
        while counts["kills"] < options.kills and time.monotonic() - start < 60 * options.minutes:
            kind = list(KINDS)[counts["runs"] % len(KINDS)]
            counts["runs"] += 1
            folder = work / "trial"
            os.environ["VISION2_CACHE"] = str(folder / "cache")
            problem = attempt(kind, folder, commands[kind], visits[kind], stream, counts)
            if problem:
                counts["unusable folders"] += 1
                wrong.append(problem + "\n" + (folder / "output.txt").read_text()[-1500:])
            else:
                found = {seed: result(path) for seed, path in recorded(folder).items()}
                equal = same(expected[kind], found)
                counts["equal to the uninterrupted run" if equal else "different results"] += 1
                wrong += [] if equal else [f"{kind}: the result after a kill differs from that of the uninterrupted run"]
            shutil.rmtree(folder)
    for key in ("runs", "kills", "unusable folders", "different results", "equal to the uninterrupted run"):
        print(f"{key}: {counts[key]}")
    for group in ("phase", "signal"):
        print(f"by {group}: " + ", ".join(f"{k.split()[1]} {n}" for k, n in sorted(counts.items()) if k.startswith(group)))
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
