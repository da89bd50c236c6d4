"""Write a checkpoint as a file that other programs run, and check that it predicts what the checkpoint predicts.

    python -m vision2.export checkpoint=RUN_FOLDER                          ONNX, beside the checkpoint
    python -m vision2.export checkpoint=best.pt format=torch_export out=model.pt2

Input `images`: (N, 3, S, S) float32, normalised as the metadata says (any N). Output `probabilities`: (N, K), softmax.
Classes and preprocessing are in the file: metadata_props of ONNX, vision2.json inside a .pt2 archive. ONNX needs the
optional packages: pip install 'vision2[onnx]'.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import Preprocessing
from vision2.config.command import Option, run_command

SUFFIXES = {"onnx": ".onnx", "torch_export": ".pt2"}
HOW_SQUARE = {  # what a program that runs the file must do, by Preprocessing.resize
    "crop": "shorter side resized to resize_px and the centre image_size_px cropped",
    "squash": "resized to image_size_px squared, aspect ignored",
    "pad": "longer side resized to image_size_px and padded to a square with the mean colour",
}
CLASSES_SHOWN = 10
OPTIONS = {
    "checkpoint": Option(None, "a checkpoint or the run folder that holds it"),
    "format": Option("onnx", " or ".join(SUFFIXES)),
    "out": Option(None, "the file to write; None: the checkpoint's name with .onnx or .pt2"),
    "tolerance": Option(1e-4, "largest difference of a probability that is accepted", float),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=False)


def run(options: dict) -> None:
    """Export, check, and only then put the file in its place.

    Raises:
        UserError: for a bad checkpoint, missing packages, or a file that does not agree with the checkpoint.
    """
    if options["format"] not in SUFFIXES:
        raise UserError(f"format is '{options['format']}', it must be {' or '.join(SUFFIXES)}")
    if options["tolerance"] <= 0:
        raise UserError(f"tolerance is {options['tolerance']:g}, it must be above 0")
    if not options["checkpoint"]:
        raise UserError("which checkpoint? give checkpoint=FILE or checkpoint=RUN_FOLDER")
    import torch

    from vision2.basics.atomic_write import replacing
    from vision2.basics.written import WrittenFiles
    from vision2.inference.exported import CHECKED_BATCHES, export_network
    from vision2.inference.load_network import load_network
    from vision2.models.heads import KNNHead
    from vision2.training.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(options["checkpoint"])
    network = load_network(checkpoint, torch.device("cpu"))
    if isinstance(network.head, KNNHead):
        raise UserError(
            "this checkpoint classifies by its nearest training images, which cannot be exported; train with"
            " strategy.classifier=linear (or logistic, svm, mlp, ...)"
        )
    out = destination(options)
    files = WrittenFiles(out.parent, out.name)
    with replacing(out) as temporary:
        worst = export_network(network, temporary, options["format"], metadata_of(checkpoint))
        if not worst <= options["tolerance"]:
            raise UserError(
                f"the exported network differs from the checkpoint by {worst:.2g} in a probability, more than"
                f" tolerance={options['tolerance']:g}; no file was written"
            )
        files.path(out.name)
    size, classes = network.preprocessing.image_size_px, len(checkpoint["classes"])
    print(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB)")
    print(f"  {network.name}, input images (N, 3, {size}, {size}), output probabilities (N, {classes})")
    named = ", ".join(f"{index} {name}" for index, name in enumerate(checkpoint["classes"][:CLASSES_SHOWN]))
    print(f"  order of the classes: {named}{', ...' if classes > CLASSES_SHOWN else ''}")
    print(
        f"  largest difference from the checkpoint: {worst:.2g} over {sum(CHECKED_BATCHES)} images"
        f" in batches of {' and '.join(map(str, CHECKED_BATCHES))}"
    )


def destination(options: dict) -> Path:
    """Where the file goes.

    Raises:
        UserError: for a folder, and for a name that does not end as the format does.
    """
    given = Path(options["checkpoint"]).expanduser()
    checkpoint = given / "best.pt" if given.is_dir() else given
    suffix = SUFFIXES[options["format"]]
    out = Path(options["out"]).expanduser() if options["out"] else checkpoint.with_suffix(suffix)
    if out.is_dir():
        raise UserError(f"out={options['out']} is a folder; name the file to write")
    if out.suffix != suffix:  # so that it cannot be the checkpoint either
        raise UserError(f"out={options['out']} must end in {suffix}, as format={options['format']} does")
    return out


def metadata_of(checkpoint: dict) -> dict:
    """What a program that runs the file needs to prepare its input and to name its outputs."""
    preprocessing = Preprocessing.from_dict(checkpoint["preprocessing"])
    return {
        "classes": checkpoint["classes"],
        "preprocessing": preprocessing.to_dict(),
        "input": f"RGB / 255, {HOW_SQUARE[preprocessing.resize]}, then (x - mean) / std; N x 3 x H x W float32",
        "model": checkpoint["model_config"]["name"],
    }


if __name__ == "__main__":
    sys.exit(main())
