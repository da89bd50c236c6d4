"""Export a checkpoint to a file that other programs can run, and check that both predict the same.

    python -m vision2.export checkpoint=RUN_FOLDER                          ONNX, next to the checkpoint
    python -m vision2.export checkpoint=best.pt format=torch_export out=model.pt2
    python -m vision2.export model=resnet20 weights.path=FILE weights.classes=NAMES.txt

Input `images`: (N, 3, S, S) float32, normalised as the metadata says (any N). Output `probabilities`: (N, K), softmax.
Classes and preprocessing are stored in the file: metadata_props in ONNX, vision2.json in a .pt2 archive. ONNX needs
optional packages: pip install 'vision2[onnx]'.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.basics.run_files import checkpoint_file
from vision2.basics.safe_text import printable
from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    from vision2.config.schema import Config
    from vision2.inference.load_network import Trained

CLASSES_SHOWN = 20
SUFFIXES = {"onnx": ".onnx", "torch_export": ".pt2"}
HOW_SQUARE = {  # what a program that runs the file must do, by Preprocessing.resize
    "crop": "shorter side resized to resize_px, then the central square of image_size_px cropped",
    "squash": "resized to a square of image_size_px, ignoring the aspect ratio",
    "pad": "longer side resized to image_size_px and padded to a square with the mean colour",
}
OPTIONS = {
    "checkpoint": Option(None, "a checkpoint or the run folder that holds it"),
    "format": Option("onnx", " or ".join(SUFFIXES)),
    "out": Option(None, "the file to write; None: the checkpoint's name with .onnx or .pt2"),
    "tolerance": Option(1e-4, "largest accepted difference in any probability", float),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=configured)


def configured(overrides: Sequence[str]) -> tuple[Config | None, list[str]]:
    """The configuration (None without overrides) and the overrides."""
    if not overrides:
        return None, []
    from vision2.config.compose import load_without_data

    return load_without_data(overrides), list(overrides)


def run(given: tuple[Config | None, list[str]], options: dict) -> None:
    """Export to a temporary file, check it, and only then put it in its place.

    Raises:
        UserError: for bad settings or weights, missing packages, or a file that disagrees with the network.
    """
    config, overrides = given
    check(overrides, options)
    import torch

    from vision2.basics.atomic_write import replacing
    from vision2.basics.written import WrittenFiles
    from vision2.inference import load_network
    from vision2.inference.exported import export_network
    from vision2.models.heads import KNNHead

    device = torch.device("cpu")
    if options["checkpoint"]:
        trained = load_network.trained_of_checkpoint(options["checkpoint"], device)
    else:
        size = config.dataset.image_size_px
        trained = load_network.trained_of_weights(config.weights, config.model, size, device)
    load_network.require_classes(trained.network, trained.source)
    if isinstance(trained.network.head, KNNHead):
        raise UserError(
            "this checkpoint classifies by its nearest training images, which cannot be exported; train with"
            " strategy.classifier=linear (or logistic, svm, mlp, ...)"
        )
    out = destination(options, trained.file)
    files = WrittenFiles(out.parent, out.name)
    with replacing(out) as temporary:
        worst = export_network(trained.network, temporary, options["format"], metadata_of(trained))
        if not worst <= options["tolerance"]:
            other = next(kind for kind in SUFFIXES if kind != options["format"])
            raise UserError(
                f"the exported network differs from the checkpoint by {worst:.2g} in a probability, more than"
                f" tolerance={options['tolerance']:g}, so no file was written; try format={other}, or raise tolerance if"
                " the difference is small"
            )
        files.path(out.name)
    print(describe(trained, out, worst))


def check(overrides: Sequence[str], options: dict) -> None:
    """Raise UserError before anything is read."""
    if options["format"] not in SUFFIXES:
        raise UserError(f"format is '{options['format']}'; it must be {' or '.join(SUFFIXES)}")
    if options["tolerance"] <= 0:
        raise UserError(f"tolerance is {options['tolerance']:g}; it must be above 0")
    if options["checkpoint"] and overrides:
        raise UserError(
            *(
                f"'{o}' cannot be combined with checkpoint=, which fixes the model and its weights; leave it out"
                for o in overrides
            )
        )
    if not options["checkpoint"] and not any(word.startswith(("weights.path=", "weights.name=")) for word in overrides):
        raise UserError("which checkpoint? give checkpoint=FILE, checkpoint=RUN_FOLDER, or model=NAME weights.path=FILE")
    if options["checkpoint"]:
        checkpoint_file(options["checkpoint"])


def destination(options: dict, source: Path) -> Path:
    """The file to write: `out`, or by default next to its source.

    Raises:
        UserError: for a folder, and for an extension that is not the format's.
    """
    suffix = SUFFIXES[options["format"]]
    out = Path(options["out"]).expanduser() if options["out"] else source.with_suffix(suffix)
    if out.is_dir():
        raise UserError(f"out={options['out']} is a folder; give a file, e.g. out={out / f'model{suffix}'}")
    if out.suffix != suffix:  # this also protects the checkpoint from being overwritten
        raise UserError(f"out={options['out']} must end in {suffix} with format={options['format']}")
    return out


def metadata_of(trained: Trained) -> dict:
    """What a program that runs the file needs to prepare its input and to name its outputs."""
    preprocessing = trained.network.preprocessing
    return {
        "classes": list(trained.classes),
        "preprocessing": preprocessing.to_dict(),
        "input": f"RGB / 255, {HOW_SQUARE[preprocessing.resize]}, then (x - mean) / std; N x 3 x H x W float32",
        "model": trained.network.name,
    }


def describe(trained: Trained, out: Path, worst: float) -> str:
    """What was written, the order of its outputs, and how closely it agrees with the checkpoint."""
    from vision2.inference.exported import CHECKED_BATCHES

    size, classes = trained.network.preprocessing.image_size_px, [printable(name) for name in trained.classes]
    more = f" ... {classes[-1]}" if len(classes) > CLASSES_SHOWN else ""
    named = "" if trained.are_named else " (numbers, as the weights do not name them; list them in weights.classes=FILE)"
    return "\n".join(
        [
            f"written: {out} ({out.stat().st_size / 1e6:.1f} MB)",
            f"  {trained.network.name}, input images (N, 3, {size}, {size}), output probabilities (N, {len(classes)})",
            f"  classes in order: {', '.join(classes[:CLASSES_SHOWN])}{more}{named}",
            f"  largest difference from the checkpoint: {worst:.2g} over {sum(CHECKED_BATCHES)} images"
            f" in batches of {' and '.join(map(str, CHECKED_BATCHES))}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
