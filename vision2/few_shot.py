"""How few labels are enough? Fit simple classifiers on features of 1, 2, 5, ... images per class, over many random draws.

    python -m vision2.few_shot dataset=plants model=mobilenet_v2
    python -m vision2.few_shot dataset=plants model=mobilenet_v2 shots=1,5,20 draws=50

Compares pretrained features, features of the same network untrained, and raw pixels, all on the same draws. Writes
few_shot.json and few_shot.png under output_dir/few_shot.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.basics.written import WrittenFiles
from vision2.config.command import Option, run_command, whole_numbers

if TYPE_CHECKING:
    from vision2.config.schema import Config

OPTIONS = {
    "shots": Option("1,2,5,10,20,50", "numbers of training images per class"),
    "draws": Option(20, "random draws of these images", int),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=load)


def load(overrides: list[str]) -> Config:
    from vision2.config.compose import load_config

    return load_config([*overrides, "strategy=feature_extraction"])


def run(config: Config, options: dict) -> None:
    """Compute the features once, evaluate every draw, and print and write the curves."""
    shots = sorted(whole_numbers("shots", options["shots"], "shots=1,5,20"))
    if options["draws"] < 1:
        raise UserError(f"draws is {options['draws']}; it must be at least 1")
    from dataclasses import asdict

    from vision2.basics.atomic_write import write_json
    from vision2.data.files.locations import data_name
    from vision2.features.learning_curves import as_text, check_shots, learning_curves, transfer_features
    from vision2.pictures.images import save_figure
    from vision2.pictures.learning_curve import learning_curve_figure
    from vision2.preparation import open_for_transfer
    from vision2.runs.records import plain

    name = f"{data_name(config.dataset.name, config.dataset.root)}-{config.model.name}"
    folder = Path(config.output_dir).expanduser() / "few_shot" / name
    files = WrittenFiles(folder, "few_shot.json", "few_shot.png")
    data, network, untrained = open_for_transfer(config)
    check_shots(data.train.labels, data.classes, shots)
    features = transfer_features(data, {"pretrained": network, "untrained": untrained}, config.model, config.dataset)
    labels = data.train.labels, data.test.labels
    points = list(learning_curves(features, labels, shots=shots, draws=options["draws"], seed=config.seed))
    print(
        f"\ntest accuracy in percent, mean (95 % interval) over {options['draws']} draws; {len(data.classes)} classes,"
        f" {len(data.test.labels):,} test images\n"
    )
    print(as_text(points))
    rows = [asdict(point) | {"accuracy": point.accuracy._asdict()} for point in points]
    write_json(files.path("few_shot.json"), plain(rows))
    save_figure(learning_curve_figure(points, chance=1 / len(data.classes)), files.path("few_shot.png"))
    print(f"written: {files.folder / 'few_shot.json'}, few_shot.png")


if __name__ == "__main__":
    sys.exit(main())
