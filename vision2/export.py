"""Write a checkpoint as a file that other programs run, and check that it predicts what the checkpoint predicts.

    python -m vision2.export checkpoint=RUN_FOLDER                          ONNX, beside the checkpoint
    python -m vision2.export checkpoint=best.pt format=torch_export out=model.pt2
    python -m vision2.export model=resnet20 weights.path=FILE weights.classes=NAMES.txt

Input `images`: (N, 3, S, S) float32, normalised as the metadata says (any N). Output `probabilities`: (N, K), softmax.
Classes and preprocessing are in the file: metadata_props of ONNX, vision2.json inside a .pt2 archive. ONNX needs the
optional packages: pip install 'vision2[onnx]'.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.basics.safe_text import printable
from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    from vision2.config.schema import Config
    from vision2.inference.load_network import Trained

CLASSES_SHOWN = 20
SUFFIXES = {"onnx": ".onnx", "torch_export": ".pt2"}
HOW_SQUARE = {  # what a program that runs the file must do, by Preprocessing.resize
    "crop": "shorter side resized to resize_px and the centre image_size_px cropped",
    "squash": "resized to image_size_px squared, aspect ignored",
    "pad": "longer side resized to image_size_px and padded to a square with the mean colour",
}
OPTIONS = {
    "checkpoint": Option(None, "a checkpoint or the run folder that holds it"),
    "format": Option("onnx", " or ".join(SUFFIXES)),
    "out": Option(None, "the file to write; None: the checkpoint's name with .onnx or .pt2"),
    "tolerance": Option(1e-4, "largest difference of a probability that is accepted", float),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=configured)


def configured(overrides: Sequence[str]) -> tuple[Config | None, list[str]]:
    """The configuration where a model is named, and the overrides."""
    if not overrides:
        return None, []
    from vision2.config.compose import load_without_data

    return load_without_data(overrides), list(overrides)


def run(given: tuple[Config | None, list[str]], options: dict) -> None:
    """Export, check, and only then put the file in its place.

    Raises:
        UserError: for bad settings or weights, missing packages, or a file that does not agree with the network.
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
            raise UserError(
                f"the exported network differs from the checkpoint by {worst:.2g} in a probability, more than"
                f" tolerance={options['tolerance']:g}; no file was written"
            )
        files.path(out.name)
    print(describe(trained, out, worst))


def check(overrides: Sequence[str], options: dict) -> None:
    """Raises UserError, before anything is read."""
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


def destination(options: dict, source: Path) -> Path:
    """Where the file goes: beside its source when nothing else is said.

    Raises:
        UserError: for a folder, and for a name that does not end as the format does.
    """
    suffix = SUFFIXES[options["format"]]
    out = Path(options["out"]).expanduser() if options["out"] else source.with_suffix(suffix)
    if out.is_dir():
        raise UserError(f"out={options['out']} is a folder; name the file to write")
    if out.suffix != suffix:  # so that it cannot be the checkpoint either
        raise UserError(f"out={options['out']} must end in {suffix}, as format={options['format']} does")
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
    """What was written, in which order its outputs come, and how well it was checked."""
    from vision2.inference.exported import CHECKED_BATCHES

    size, classes = trained.network.preprocessing.image_size_px, [printable(name) for name in trained.classes]
    more = f" ... {classes[-1]}" if len(classes) > CLASSES_SHOWN else ""
    named = "" if trained.are_named else " (numbers: nothing says which classes they are; weights.classes=FILE does)"
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
