"""Speed of the runner, as ratios to baselines measured back to back.

python scripts/bench_runner.py [pairs=3]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_rows import say, spread

HERE = Path(__file__).resolve().parent


def main() -> None:
    pairs = int(dict(word.split("=", 1) for word in sys.argv[1:]).get("pairs", 3))
    cifar_epoch(pairs)
    start_up(pairs)


def cifar_epoch(pairs: int, images: int = 6_400, batch_size: int = 128) -> None:
    """Compare an epoch of resnet20 on 32 px images in memory with a hand-written loop and with the same steps on one batch."""
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
    steps, hand = [], []
    for pair in range(pairs):
        before, ours, after = bare(), epoch(pair + 2), bare()
        steps.append(2 * ours / (before + after))
        hand.append(images / ours / _hand_rate(images))
    what = f"ResNet-20 epoch, {images:,} images at 32 px in memory"
    say(f"{what}, images/s: ours / hand-written loop ({images / ours:.0f} img/s)", spread(hand), "at least 1.2")
    say("  time of the epoch / the same number of bare steps", spread(steps), "at most 1.05")


def _hand_rate(images: int) -> float:
    """Images per second of scripts/hand_cifar.py."""
    done = subprocess.run([sys.executable, HERE / "hand_cifar.py", str(images)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["images_per_second"]


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


def start_up(pairs: int) -> None:
    """Measure the seconds from the command to the help text, and to the end of the first step on digits."""
    seconds = [_seconds(["-m", "vision2.train", "--help"]) for _ in range(pairs)]
    say("seconds to --help", spread(seconds), "at most 0.5")
    imports = [_seconds(["-c", "import torch"]) for _ in range(pairs)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["dataset.shots_per_class=2", "train.epochs=1", "train.batch_size=20", f"output_dir={folder}"]
        seconds = [_first_epoch(["-m", "vision2.train", *arguments]) for _ in range(pairs)]
    ratios = [second / imported for second, imported in zip(seconds, imports, strict=True)]
    what = f"digits, time to the first step and validation ({seconds[-1]:.1f} s) / import torch ({imports[-1]:.1f} s)"
    say(what, spread(ratios), "at most 1.3")


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


def _seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _first_epoch(arguments: list[str]) -> float:
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in process.stdout:
        if re.match(r"epoch 1/1 ", line):
            seconds = time.perf_counter() - start
            process.communicate()
            return seconds
    sys.exit(f"failed: {' '.join(arguments)}")


if __name__ == "__main__":
    main()
