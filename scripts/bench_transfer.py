"""Speed of feature extraction, as ratios to baselines measured back to back.

python scripts/bench_transfer.py [photos=FOLDER] [weights=FILE] [epochs=10]

photos=FOLDER: images in FOLDER/CLASS/*.jpg; weights=FILE: MobileNet v2 weights. The usual training loop runs the frozen
network in every epoch. It is measured in two versions: a hand-written one (scripts/plain_transfer.py: PIL, float32), which
our targets refer to, and our own `strategy.features=every_epoch`, which already reads decoded images and chooses the fastest
precision. Without photos, images are generated; without weights, they are random: the speeds are the same, but the accuracies
mean nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PAIRS = 3  # repetitions of feature computation and bare inference
SECOND_RUNS = 3


def main() -> None:
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        photos = Path(options["photos"]) if "photos" in options else _made_photos(work / "photos")
        weights = Path(options["weights"]) if "weights" in options else _random_weights(work / "random.safetensors")
        shared = [
            "model=mobilenet_v2", "dataset=folder", f"dataset.root={photos}", f"weights.path={weights}",
            "strategy=feature_extraction", "dataset.image_size_px=224",
            f"dataset.cache_dir={work / 'cache'}", f"output_dir={work / 'outputs'}",
        ]  # fmt: skip
        linear = [*shared, "strategy.classifier=linear", f"train.epochs={options.get('epochs', 10)}"]
        once = run([*linear])  # includes decoding, as in any first run
        by_hand, accuracy = _by_hand(photos, weights, once.folder, options.get("epochs", "10"))
        whole_runs(once, by_hand, accuracy)
        own_loop(once, [*linear, "strategy.features=every_epoch"])
        second_runs(shared, by_hand)
        feature_rate(shared)


def whole_runs(once: Finished, by_hand: float, accuracy: float) -> None:
    """Compare the hand-written loop with features computed once: whole processes, both including decoding."""
    images = sum(sum(by_class.values()) for by_class in once.summary["data"]["counts"].values())
    epochs = once.summary["epochs_done"]
    what = f"{epochs} epochs of a head, {images:,} images: plain loop {by_hand:.0f} s, features once {once.seconds:.1f} s"
    say(what, f"{by_hand / once.seconds:.1f}", "at least 8 times as fast")
    apart = abs(accuracy - once.accuracy)
    say(f"  test accuracy {accuracy:.2%} and {once.accuracy:.2%}, difference in points", f"{100 * apart:.2f}", "at most 1")


def own_loop(once: Finished, overrides: list[str]) -> None:
    """Measure our own loop that runs the frozen network in every epoch, with images already decoded."""
    usual = run(overrides)
    what = f"  the same with our own loop in every epoch ({usual.summary['precision']}): {usual.seconds:.0f} s"
    say(what, f"{usual.seconds / once.seconds:.1f}", "")


def second_runs(shared: list[str], by_hand: float) -> None:
    """Measure other classifiers on stored features, as whole processes."""
    for classifier in ("logistic", "ridge", "knn"):
        seconds = min(run([*shared, f"strategy.classifier={classifier}"]).seconds for _ in range(SECOND_RUNS))
        say(f"  another classifier ({classifier}), seconds from start to finish", f"{seconds:.1f}", "under 8")
        say("    time of the plain loop / time of this run", f"{by_hand / seconds:.0f}", "at least 30")


def feature_rate(overrides: list[str]) -> None:
    """Compare images per second through the feature store (including reading, cropping, storing) and the bare network."""
    import torch

    from vision2.config.compose import load_config
    from vision2.features.compute import BATCH_SIZE, FeatureMaker
    from vision2.preparation import open_for_transfer

    config = load_config(overrides)
    data, network, _ = open_for_transfer(config)
    size = network.preprocessing.image_size_px
    images = torch.randn(BATCH_SIZE, 3, size, size, device=next(network.parameters()).device)
    images = images.to(memory_format=torch.channels_last)
    ratios, rate = [], 0.0
    for _ in range(PAIRS):
        bare = _bare_rate(network, images, len(data.train) // BATCH_SIZE + 1)
        with tempfile.TemporaryDirectory() as folder:
            maker = FeatureMaker(network, config.model, ["last"], folder=Path(folder))
            start = time.perf_counter()
            maker.features(data.train)
            rate = len(data.train) / (time.perf_counter() - start)
        ratios.append(rate / bare)
    ratios.sort()
    what = f"features of {len(data.train):,} images, float32 ({rate:.0f} img/s) / bare inference ({bare:.0f} img/s)"
    say(what, f"{ratios[PAIRS // 2]:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})", "at least 0.9")


def _bare_rate(network, images, batches: int) -> float:
    """Images per second of the bare network on one batch in memory."""
    import torch

    with torch.inference_mode():
        network(images)
        start = time.perf_counter()
        for _ in range(batches):
            network(images)
        return batches * len(images) / (time.perf_counter() - start)


def say(what: str, value: str, wanted: str) -> None:
    print(f"{what:94} {value:>16}   {wanted}", flush=True)


class Finished(NamedTuple):
    """A finished training process: its seconds, its run folder and its summary."""

    seconds: float
    folder: Path
    summary: dict

    @property
    def accuracy(self) -> float:
        return self.summary["metrics"]["test"]["accuracy"]


def run(overrides: list[str]) -> Finished:
    seconds, lines = _timed([sys.executable, "-m", "vision2.train", *overrides])
    (folder,) = [Path(line.split(":", 1)[1].strip()) for line in lines if line.startswith("run folder:")]
    return Finished(seconds, folder, json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def _by_hand(photos: Path, weights: Path, run_folder: Path, epochs: str) -> tuple[float, float]:
    """(seconds, test accuracy) of the hand-written loop on the same split."""
    script = Path(__file__).resolve().parent / "plain_transfer.py"
    overrides = [str(photos), str(weights), str(run_folder / "split.json"), epochs]
    seconds, lines = _timed([sys.executable, str(script), *overrides])
    return seconds, float(lines[-1])


def _timed(command: list[str]) -> tuple[float, list[str]]:
    """Run a command and return (its seconds, the lines it printed)."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"failed: {' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout.splitlines()


def _made_photos(folder: Path) -> Path:
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from bench_runner import make_photos

    return make_photos(folder)


def _random_weights(path: Path) -> Path:
    from safetensors.torch import save_file
    from torchvision.models import mobilenet_v2

    save_file(mobilenet_v2().state_dict(), path)
    return path


if __name__ == "__main__":
    main()
