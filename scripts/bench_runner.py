"""Speed of the runner, as ratios to baselines measured back to back.

python scripts/bench_runner.py [pairs=3]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from bench_process import run_python
from bench_rows import say, spread

from vision2.basics.process import prepare_process

HERE = Path(__file__).resolve().parent


def main() -> None:
    pairs = int(dict(word.split("=", 1) for word in sys.argv[1:]).get("pairs", 3))
    prepare_process()  # as in every command of ours
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
        hand.append(images / ours / json.loads(run_python(HERE / "hand_cifar.py", images).lines[-1])["images_per_second"])
    what = f"ResNet-20 epoch, {images:,} images at 32 px in memory"
    say(f"{what}, images/s: ours / hand-written loop ({images / ours:.0f} img/s)", spread(hand), "at least 1.2")
    say("  time of the epoch / the same number of bare steps", spread(steps), "at most 1.05")


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
    seconds = [run_python("-m", "vision2.train", "--help").seconds for _ in range(pairs)]
    say("seconds to --help", spread(seconds), "at most 0.5")
    imports = [run_python("-c", "import torch").seconds for _ in range(pairs)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["dataset.shots_per_class=2", "train.epochs=1", "train.batch_size=20", f"output_dir={folder}"]
        seconds = [run_python("-m", "vision2.train", *arguments).first_epoch for _ in range(pairs)]
    ratios = [second / imported for second, imported in zip(seconds, imports, strict=True)]
    what = f"digits, time to the first step and validation ({seconds[-1]:.1f} s) / import torch ({imports[-1]:.1f} s)"
    say(what, spread(ratios), "at most 1.3")


if __name__ == "__main__":
    main()
