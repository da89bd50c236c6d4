"""Whole training runs against a hand-written script and timm's parts on the same split, as ratios measured in turn.

python scripts/bench_baselines.py [photos=FOLDER] [weights=FILE] [pairs=3]

photos=FOLDER: images in FOLDER/CLASS/*.jpg; weights=FILE: MobileNet v2 weights. Without photos, images are generated; without
weights, they are random: the speeds are the same, but the accuracies mean nothing. The baselines print one JSON line:
`images_per_second` of one epoch, and `first_step`, the Unix time at which their first training step was done.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench_rows import say, spread
from bench_runner import make_photos

HERE = Path(__file__).resolve().parent
SIZE = 96  # pixels


class Finished(NamedTuple):
    seconds: float  # of the whole process
    memory_mb: float  # peak of the process itself, without its workers
    first_step: float  # seconds from the command to the end of the first training step; 0 if there was none
    rate: float  # images per second of the training epoch; 0 if there was none
    accuracy: float | None
    folder: Path | None = None  # of a vision2 run


def main() -> None:
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    pairs = int(options.get("pairs", 3))
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        photos = Path(options["photos"]) if "photos" in options else make_photos(work / "photos")
        weights = Path(options["weights"]) if "weights" in options else _random_weights(work / "random.safetensors")
        shared = ["model=mobilenet_v2", "dataset=folder", f"dataset.root={photos}", f"weights.path={weights}"]
        shared += [f"output_dir={work / 'outputs'}", f"dataset.cache_dir={work / 'cache'}"]
        finetuning(shared, photos, weights, pairs)
        features(shared, photos, weights, work / "cache", pairs)


def finetuning(shared: list[str], photos: Path, weights: Path, pairs: int) -> None:
    ours = [*shared, "strategy=finetune", "train.epochs=1", "train.batch_size=32", f"dataset.image_size_px={SIZE}"]
    split = str(vision2(ours).folder / "split.json")  # this first run also decodes the images
    runs = []
    for _ in range(pairs):
        hand = script("hand_finetune.py", photos, weights, split, SIZE)
        timm = script("timm_finetune.py", photos, split, SIZE)
        runs.append((vision2(ours), hand, timm))
    for index, name in ((1, "hand-written loop"), (2, "timm")):
        ratios = [run[0].rate / run[index].rate for run in runs]
        rates = f"{runs[-1][0].rate:.0f} and {runs[-1][index].rate:.0f} img/s"
        say(f"fine-tuning MobileNet v2 at {SIZE} px, images/s: ours / {name} ({rates})", spread(ratios), "at least 2.2")
        starts = [run[0].first_step / run[index].first_step for run in runs]
        seconds = f"{runs[-1][0].first_step:.1f} and {runs[-1][index].first_step:.1f} s"
        say(f"  from the command to the first step: ours / {name} ({seconds})", spread(starts), "at most 0.65")
        memory = [run[0].memory_mb / run[index].memory_mb for run in runs]
        say(f"  peak memory, without loader processes: ours / {name}", spread(memory), "at most 1.15")


def features(shared: list[str], photos: Path, weights: Path, cache: Path, pairs: int) -> None:
    ours = [*shared, "strategy=feature_extraction", "strategy.classifier=logistic", "dataset.image_size_px=224"]
    split = str(vision2(ours).folder / "split.json")
    cold, warm, apart = [], [], []
    for _ in range(pairs):
        hand = script("hand_features.py", photos, weights, split)
        shutil.rmtree(cache)
        first, second = vision2(ours), vision2(ours)
        cold.append(hand.seconds / first.seconds)
        warm.append(hand.seconds / second.seconds)
        apart.append(100 * abs(hand.accuracy - first.accuracy))
    times = f"{hand.seconds:.0f} / {first.seconds:.1f} s"
    say(
        f"features of photographs at 224 px and logistic regression, whole process: hand-written / ours ({times})",
        spread(cold),
        "at least 3",
    )
    say(f"  the same with features in the store ({second.seconds:.1f} s)", spread(warm), "at least 8")
    say("  difference of the test accuracies, in points", spread(apart), "at most 1")


def script(name: str, *arguments: object) -> Finished:
    """Run a baseline, which prints one JSON line at the end."""
    begin = time.time()
    seconds, memory, lines, _ = timed([str(HERE / name), *map(str, arguments)])
    said = json.loads(lines[-1])
    first = said.get("first_step")
    return Finished(seconds, memory, first - begin if first else 0.0, said.get("images_per_second", 0.0), said.get("accuracy"))


def vision2(overrides: list[str]) -> Finished:
    seconds, memory, lines, epoch_line = timed(["-m", "vision2.train", *overrides])
    (folder,) = [Path(line.split(":", 1)[1].strip()) for line in lines if line.startswith("run folder:")]
    accuracy = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]["test"]["accuracy"]
    if epoch_line is None:
        return Finished(seconds, memory, 0.0, 0.0, accuracy, folder)
    epoch = json.loads((folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[0])
    first_step = epoch_line - epoch["seconds"] + 32 / epoch["images_per_second"]
    return Finished(seconds, memory, first_step, epoch["images_per_second"], accuracy, folder)


def timed(arguments: list[str]) -> tuple[float, float, list[str], float | None]:
    """Run Python; return (seconds, peak memory in MB, printed lines, seconds until the line of the first epoch or None)."""
    start, lines, epoch_line = time.perf_counter(), [], None
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True)
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if epoch_line is None and re.match(r"epoch 1/\d+ ", line):
                epoch_line = time.perf_counter() - start
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            errors.seek(0)
            sys.exit(f"failed: {' '.join(arguments)}\n{errors.read()}")
    return seconds, usage.ru_maxrss / 1024, lines, epoch_line


def _random_weights(path: Path) -> Path:
    from safetensors.torch import save_file
    from torchvision.models import mobilenet_v2

    save_file(mobilenet_v2().state_dict(), path)
    return path


if __name__ == "__main__":
    main()
