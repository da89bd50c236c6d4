"""Whole training runs against a hand-written script and timm's parts on the same split, as ratios measured in turn.

python scripts/bench_baselines.py [photos=FOLDER] [weights=FILE] [pairs=3]

photos=FOLDER: images in FOLDER/CLASS/*.jpg; weights=FILE: MobileNet v2 weights. Without photos, images are generated; without
weights, they are random: the speeds are the same, but the accuracies mean nothing.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench_photos import make_photos
from bench_process import run_python
from bench_rows import say, spread

HERE = Path(__file__).resolve().parent
SIZE, BATCH_SIZE = 96, 32  # pixels, images; the baselines have the same batch size


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
    ours = [*shared, "strategy=finetune", "train.epochs=1", f"train.batch_size={BATCH_SIZE}", f"dataset.image_size_px={SIZE}"]
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
    done = run_python(HERE / name, *arguments)
    said = json.loads(done.lines[-1])
    first_step = said["first_step"] - begin if "first_step" in said else 0.0
    return Finished(done.seconds, done.memory_mb, first_step, said.get("images_per_second", 0.0), said.get("accuracy"))


def vision2(overrides: list[str]) -> Finished:
    begin = time.time()
    done = run_python("-m", "vision2.train", *overrides)
    (folder,) = [Path(line.split(":", 1)[1].strip()) for line in done.lines if line.startswith("run folder:")]
    accuracy = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]["test"]["accuracy"]
    first_step, rate = 0.0, 0.0
    if done.first_epoch is not None:
        metrics = folder / "metrics.jsonl"  # its only line is written when the epoch ends, before the checkpoints are
        epoch = json.loads(metrics.read_text(encoding="utf-8"))
        rate = epoch["images_per_second"]
        first_step = metrics.stat().st_mtime - epoch["seconds"] + BATCH_SIZE / rate - begin
    return Finished(done.seconds, done.memory_mb, first_step, rate, accuracy, folder)


def _random_weights(path: Path) -> Path:
    from safetensors.torch import save_file
    from torchvision.models import mobilenet_v2

    save_file(mobilenet_v2().state_dict(), path)
    return path


if __name__ == "__main__":
    main()
