"""Speed of the runner, as ratios to baselines measured back to back.

python scripts/bench_runner.py [photos=FOLDER]

photos=FOLDER: images in FOLDER/CLASS/*.jpg; without it, images are generated.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAIRS = 3


def main() -> None:
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    epoch_vs_bare_steps()
    start_up()
    with tempfile.TemporaryDirectory() as folder:
        photos_vs_plain_script(Path(options.get("photos") or make_photos(Path(folder) / "photos")), Path(folder))


def say(what: str, value: str, wanted: str) -> None:
    print(f"{what:78} {value:>12}   {wanted}", flush=True)


def epoch_vs_bare_steps(images: int = 12_800, batch_size: int = 128) -> None:
    """Compare an epoch of resnet20 on 32 px images in memory with the same number of steps on one batch."""
    import numpy as np
    import torch
    from torch import nn

    from vision2.basics.preprocessing import Preprocessing
    from vision2.data.batches import Batches
    from vision2.data.dataset import Split
    from vision2.data.settings import AugmentConfig
    from vision2.data.store.image_sources import TensorImages

    pixels = torch.randint(0, 256, (images, 3, 32, 32), dtype=torch.uint8)
    labels = np.arange(images, dtype=np.int64) % 10
    split = Split("train", labels, tuple(map(str, range(images))), TensorImages(pixels))
    augment = AugmentConfig(crop="pad")
    batches = Batches(
        split, Preprocessing(32, 32), batch_size=batch_size, device=torch.device("cpu"), num_classes=10, seed=0,
        augment=augment, shuffle=True,
    )  # fmt: skip
    learner = resnet20_learner()
    network = learner.network
    batch = next(iter(batches.epoch(1)))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)
    criterion = nn.CrossEntropyLoss()

    def bare() -> float:
        network.train()
        start = time.perf_counter()
        for _ in range(len(batches)):
            loss = criterion(network(batch.images).logits, batch.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return time.perf_counter() - start

    def epoch(number: int) -> float:
        return learner.train_epoch(batches, number).seconds

    bare(), epoch(1)
    ratios = []
    for pair in range(PAIRS):
        seconds = bare()
        ratios.append(epoch(pair + 2) / seconds)
    rate = images / seconds
    say(f"resnet20 epoch, 32 px, {images:,} images / bare steps ({rate:.0f} img/s)", _spread(ratios), "at most 1.05")


def resnet20_learner():
    """The learner of a run that trains resnet20 from scratch in float32."""
    import torch

    from vision2.models.build import build_model
    from vision2.models.settings import ModelConfig
    from vision2.strategies import STRATEGIES
    from vision2.strategies.settings import StrategyConfig
    from vision2.training.learner import Learner
    from vision2.training.parameter_plan import plan_parameters
    from vision2.training.settings import TrainConfig

    network, strategy = build_model(ModelConfig("resnet20"), 10, seed=0), StrategyConfig("scratch")
    network = network.to(memory_format=torch.channels_last)
    plan = plan_parameters(network, STRATEGIES["scratch"].rules(strategy, network.stages), strategy)
    return Learner(network, plan, strategy, TrainConfig(epochs=100), precision="float32", seed=0)


def start_up() -> None:
    """Measure the seconds from the command to the help text, and to the end of the first step on digits."""
    seconds = [_timed(["-m", "vision2.train", "--help"])[0] for _ in range(PAIRS)]
    say("seconds to --help", _spread(seconds), "under 2")
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["dataset.shots_per_class=2", "train.epochs=1", "train.batch_size=20", f"output_dir={folder}"]
        seconds = [_first_epoch(["-m", "vision2.train", *arguments]) for _ in range(PAIRS)]
    say("seconds from the command to the first step (and validation) on digits", _spread(seconds), "at most 8")


def photos_vs_plain_script(photos: Path, work: Path, batch_size: int = 32) -> None:
    """Compare training of ResNet-18 at 224 px (images per second and peak memory) with scripts/plain_baseline.py."""
    ours = [
        "-m", "vision2.train", "model=resnet18", "dataset=folder", f"dataset.root={photos}", "train.epochs=1",
        f"train.batch_size={batch_size}", f"dataset.cache_dir={work / 'cache'}", f"output_dir={work / 'outputs'}",
    ]  # fmt: skip
    _timed([*ours, "dataset.shots_per_class=4"])  # fills the cache
    speeds, memory = [], []
    for _ in range(PAIRS):
        _, plain_peak, out = _timed([str(HERE / "plain_baseline.py"), str(photos), str(batch_size)])
        _, our_peak, _ = _timed(ours)
        newest = max((work / "outputs").rglob("metrics.jsonl"), key=lambda path: path.stat().st_mtime)
        rate = json.loads(newest.read_text().splitlines()[0])["images_per_second"]
        speeds.append(rate / float(out))
        memory.append(our_peak / plain_peak)
    say(
        f"resnet18 training, 224 px, batch {batch_size} ({rate:.1f} img/s) / plain script",
        _spread(speeds),
        "at least 1.8 with bf16",
    )
    say("peak memory / plain script (without its workers)", _spread(memory), "at most 1.3")


def make_photos(folder: Path, count: int = 320) -> Path:
    """Generate JPEGs of 500 x 375 px with structure at many scales, in two classes."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / ("a" if index % 2 else "b") / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        layers = [rng.integers(0, 256, (3 * 2**k, 4 * 2**k, 3), dtype=np.uint8) for k in range(1, 7)]
        pictures = [np.asarray(Image.fromarray(layer).resize((500, 375), Image.BICUBIC), dtype=float) for layer in layers]
        Image.fromarray(np.mean(pictures, axis=0).astype(np.uint8)).save(path, quality=90)
    return folder


def _timed(arguments: list[str]) -> tuple[float, float, str]:
    """Run Python and return (seconds, peak memory of that process alone in MB, its output)."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([sys.executable, *arguments], stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        out.seek(0)
        text = out.read()
    if status:
        sys.exit(f"failed: {' '.join(arguments)}\n{text}")
    return seconds, usage.ru_maxrss / 1024, text


def _first_epoch(arguments: list[str]) -> float:
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in process.stdout:
        if re.match(r"epoch 1/1 ", line):
            seconds = time.perf_counter() - start
            process.communicate()
            return seconds
    sys.exit(f"failed: {' '.join(arguments)}")


def _spread(values: list[float]) -> str:
    """Median (minimum to maximum)."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


if __name__ == "__main__":
    main()
