"""Speed of feature extraction, each figure a ratio against a baseline measured in the same minutes.

python scripts/bench_transfer.py [photos=FOLDER/CLASS/*.jpg] [weights=FILE of MobileNet v2] [epochs=10] [size=224]
    [precision=float32]

Both sides use one number format. With few photos the start of the program (torch, scikit-learn, matplotlib: several
seconds) weighs on features=once and hides what more photos would show. Without photos it makes some, without weights it
uses random ones: speeds are the same, accuracies then mean nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 3  # of feature computation and bare inference
SECOND_RUNS = 3


def main() -> None:
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        photos = Path(options["photos"]) if "photos" in options else _made_photos(work / "photos")
        weights = Path(options["weights"]) if "weights" in options else _random_weights(work / "random.safetensors")
        shared = [
            "model=mobilenet_v2", "dataset=folder", f"dataset.root={photos}", f"weights.path={weights}",
            "strategy=feature_extraction", f"dataset.image_size_px={options.get('size', 224)}",
            f"train.precision={options.get('precision', 'float32')}", f"dataset.cache_dir={work / 'cache'}",
            f"output_dir={work / 'outputs'}",
        ]  # fmt: skip
        epochs = f"train.epochs={options.get('epochs', 10)}"
        _run([*shared, "strategy.features=every_epoch", "train.epochs=1", "dataset.shots_per_class=2"])  # decodes once
        whole_runs(shared, epochs)
        feature_rate([*shared, epochs])


def whole_runs(shared: list[str], epochs: str) -> None:
    """The usual loop, features once, and a second classifier, from the start of the process to its end."""
    usual, reference = _run([*shared, epochs, "strategy.features=every_epoch"])
    once, summary = _run([*shared, epochs])
    accuracies = [run["metrics"]["test"]["accuracy"] for run in (reference, summary)]
    what = f"{epochs.removeprefix('train.')} of a head on {_images(summary):,} images: usual loop {usual:.0f} s"
    say(f"{what}, features once {once:.1f} s", f"{usual / once:.1f}", "at least 8 times as fast")
    say("  test accuracy of the two, points apart", f"{100 * abs(accuracies[0] - accuracies[1]):.2f}", "at most 1")
    for classifier in ("logistic", "ridge", "knn"):
        seconds = min(_run([*shared, f"strategy.classifier={classifier}"])[0] for _ in range(SECOND_RUNS))
        say(f"  second classifier ({classifier}), seconds from start to finish", f"{seconds:.1f}", "under 8")
        say("    the usual loop takes so many times longer", f"{usual / seconds:.0f}", "at least 30")


def feature_rate(words: list[str]) -> None:
    """Images a second through the feature store (reading, cropping and keeping included) / the bare network."""
    import torch

    from vision2.config.compose import load_config
    from vision2.preparation import open_for_transfer
    from vision2.transfer.features import BATCH_SIZE, FeatureMaker

    config = load_config(words)
    data, network, _ = open_for_transfer(config)
    size = network.preprocessing.image_size_px
    images = torch.randn(BATCH_SIZE, 3, size, size, device=next(network.parameters()).device)
    images = images.to(memory_format=torch.channels_last)
    ratios, rate = [], 0.0
    for _ in range(PAIRS):
        bare = _bare_rate(network, images, len(data.train) // BATCH_SIZE + 1)
        with tempfile.TemporaryDirectory() as folder:
            maker = FeatureMaker(network, config.model, layers=["last"], pooling="pooled", folder=Path(folder))
            start = time.perf_counter()
            maker.features(data.train, precision="float32")
            rate = len(data.train) / (time.perf_counter() - start)
        ratios.append(rate / bare)
    ratios.sort()
    what = f"features of {len(data.train):,} images, float32 ({rate:.0f} img/s) / bare inference ({bare:.0f} img/s)"
    say(what, f"{ratios[PAIRS // 2]:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})", "at least 0.9")


def _bare_rate(network, images, batches: int) -> float:
    """Images a second of the network as it is, on one batch that is already there."""
    import torch

    with torch.inference_mode():
        network(images)
        start = time.perf_counter()
        for _ in range(batches):
            network(images)
        return batches * len(images) / (time.perf_counter() - start)


def say(what: str, value: str, wanted: str) -> None:
    print(f"{what:94} {value:>16}   {wanted}", flush=True)


def _run(words: list[str]) -> tuple[float, dict]:
    """(seconds of the whole process, its summary)."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "vision2.train", *words], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"failed: {' '.join(words)}\n{done.stdout}\n{done.stderr}")
    (folder,) = [line.split(":", 1)[1].strip() for line in done.stdout.splitlines() if line.startswith("run folder:")]
    return seconds, json.loads((Path(folder) / "summary.json").read_text(encoding="utf-8"))


def _images(summary: dict) -> int:
    return sum(sum(by_class.values()) for by_class in summary["data"]["counts"].values())


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
