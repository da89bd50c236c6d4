"""How few labels are enough? Simple classifiers on 1, 2, 5, ... images a class, many draws, from stored features.

    python -m vision2.few_shot dataset=plants model=mobilenet_v2
    python -m vision2.few_shot dataset=plants model=mobilenet_v2 shots=1,5,20 draws=50

Curves for pretrained features, for those of the same network untrained, and for raw pixels; all see the same draws. Writes
few_shot.json and few_shot.png below output_dir/few_shot.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    import numpy as np

    from vision2.config.schema import Config
    from vision2.features.learning_curves import Point

PIXELS_PX = 32  # side at which raw pixels are compared
OPTIONS = {
    "shots": Option("1,2,5,10,20,50", "images a class"),
    "draws": Option(20, "random choices of these images", int),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=load)


def load(words: list[str]) -> Config:
    from vision2.config.compose import load_config

    return load_config([*words, "strategy=feature_extraction"])


def run(config: Config, options: dict) -> None:
    """Features once, then every draw on them."""
    try:
        shots = sorted({int(part) for part in options["shots"].split(",")})
    except ValueError as error:
        raise UserError(f"shots is '{options['shots']}', it must be whole numbers with commas, e.g. 1,5,20") from error
    if options["draws"] < 1:
        raise UserError(f"draws is {options['draws']}, it must be at least 1")
    from vision2.features.learning_curves import as_text, check_shots, learning_curves
    from vision2.preparation import open_for_transfer

    data, network, untrained = open_for_transfer(config)
    check_shots(data.train.labels, data.classes, shots)
    features = {
        "pretrained": _network_features(config, data, network),
        "untrained": _network_features(config, data, untrained),
        "pixels": _pixels(data, network.preprocessing),
    }
    labels = data.train.labels, data.test.labels
    points = list(learning_curves(features, labels, shots=shots, draws=options["draws"], seed=config.seed))
    print(
        f"\ntest accuracy in percent, mean (95 % interval) over {options['draws']} draws; {len(data.classes)} classes,"
        f" {len(data.test.labels):,} test images\n"
    )
    print(as_text(points))
    folder = Path(config.output_dir).expanduser() / "few_shot" / f"{data.name}-{network.name}"
    _write(folder, points, chance=1 / len(data.classes))
    print(f"written: {folder / 'few_shot.json'}, few_shot.png")


def _network_features(config: Config, data, network) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) of the training and of the test split, after the last layer."""
    from vision2.features.compute import FeatureMaker, kept_features
    from vision2.models.cut import LAST

    folder = kept_features(config.dataset)
    maker = FeatureMaker(network, config.model, layers=[LAST], pooling="pooled", folder=folder)
    return tuple(maker.features(split, precision="float32")[LAST][0].numpy() for split in (data.train, data.test))


def _pixels(data, preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3 * 32 * 32) normalised pixels of the training and of the test split."""
    import torch

    from vision2.data.batches import Batches

    small = preprocessing.at_size(PIXELS_PX)

    def vectors(split) -> np.ndarray:
        batches = Batches(split, small, batch_size=64, device="cpu", num_classes=len(data.classes), seed=0)
        return torch.cat([batch.images.flatten(1) for batch in batches.epoch(0)]).numpy()

    return vectors(data.train), vectors(data.test)


def _write(folder: Path, points: Sequence[Point], *, chance: float) -> None:
    from dataclasses import asdict

    from matplotlib.figure import Figure

    from vision2.basics.atomic_write import write_json
    from vision2.pictures.images import save_figure
    from vision2.runs.records import plain

    rows = [asdict(point) | {"accuracy": point.accuracy._asdict()} for point in points]
    write_json(folder / "few_shot.json", plain(rows))
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    colours = dict(zip(dict.fromkeys(point.features for point in points), ("C0", "C1", "C2"), strict=False))
    for name in dict.fromkeys((point.features, point.classifier) for point in points):
        curve = [point for point in points if (point.features, point.classifier) == name]
        x, y = [point.shots for point in curve], [100 * point.accuracy.mean for point in curve]
        style = "-o" if name[1] == "centroid" else "--s"
        axes.plot(x, y, style, color=colours[name[0]], markersize=4, label=", ".join(name))
        if curve[0].accuracy.n > 1:
            bounds = [[100 * bound for bound in (p.accuracy.low, p.accuracy.high)] for p in curve]
            axes.fill_between(x, *zip(*bounds, strict=True), color=colours[name[0]], alpha=0.15, linewidth=0)
    axes.axhline(100 * chance, color="grey", linewidth=0.8, linestyle=":", label="chance")
    axes.set_xscale("log")
    shown = sorted({point.shots for point in points})
    axes.set_xticks(shown, [str(count) for count in shown])
    axes.minorticks_off()
    axes.set_xlabel("labelled images a class")
    axes.set_ylabel("test accuracy, %")
    axes.legend(fontsize=8)
    save_figure(figure, folder / "few_shot.png")


if __name__ == "__main__":
    sys.exit(main())
