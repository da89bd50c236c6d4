"""Predict images with a checkpoint of ours or with published weights.

    python -m vision2.predict checkpoint=RUN_FOLDER images=FOLDER
    python -m vision2.predict model=mobilenet_v2 weights.name=IMAGENET1K_V1 images=PHOTO.jpg
    python -m vision2.predict model=mobilenet_v1 weights.path=FILE images=FOLDER out=FOLDER gradcam=true

Class names and preprocessing are those of the checkpoint or of the weights. `images` is a file, a folder or a zip; what
cannot be read is listed. With out=FOLDER: predictions.csv, predictions.json, contact_sheet.png, gradcam/*.png.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    import torch

    from vision2.config.schema import Config
    from vision2.inference.predictor import Predictions, Predictor

FORMATS = ("table", "csv", "json")
BATCH_SIZE = 32
WITH_CHECKPOINT = ("device", "train.batch_size")  # settings that a checkpoint leaves open
OPTIONS = {
    "checkpoint": Option(None, "a checkpoint or the run folder that holds it"),
    "images": Option(None, "an image, a folder or a zip"),
    "top": Option(5, "classes shown for each image", int),
    "format": Option("table", ", ".join(FORMATS)),
    "out": Option(None, "a folder for predictions.csv, predictions.json, contact_sheet.png"),
    "gradcam": Option(False, "also gradcam/*.png: where the network looked for its first class", bool),
    "shown": Option(48, "images on the contact sheet, spread over all of them", int),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=configured)


def configured(words: Sequence[str]) -> tuple[Config, list[str]]:
    """The configuration, and the words it was made of: whether a model was named cannot be read from the former."""
    from vision2.config.compose import load_without_data

    named = any(word.startswith("weights.name=") and word != "weights.name=none" for word in words)
    pretrained = ["strategy=finetune"] if named else []  # scratch knows no published weights
    return load_without_data([*pretrained, *words]), list(words)


def run(given: tuple[Config, list[str]], options: dict) -> None:
    """Find the images, build the network, predict, print, write."""
    config, words = given
    check(words, options)
    import json

    from vision2.inference.predictor import as_csv, as_record, as_table, find_images, predict_images
    from vision2.training.precision import choose_device

    entries = find_images(options["images"])
    device = choose_device(config.device)
    saved = options["checkpoint"]
    predictor = from_checkpoint(saved, device) if saved else from_weights(config, device)
    with _progress(len(entries)) as bar:
        batch_size = config.train.batch_size or BATCH_SIZE
        predictions = predict_images(predictor, entries, batch_size=batch_size, progress=bar.update)
    top = options["top"]
    if options["format"] == "table":
        size = predictor.network.preprocessing.image_size_px
        print(f"{predictor.source}: {predictor.network.name}, {len(predictor.classes)} classes, {size} px\n")
        print(as_table(predictions, top))
    elif options["format"] == "csv":
        print(as_csv(predictions, top), end="")
        for name, reason in predictions.unreadable.items():
            print(f"not readable: {name}: {reason}", file=sys.stderr)
    else:
        print(json.dumps(as_record(predictions, predictor, top), indent=2, ensure_ascii=False))
    if options["out"]:
        write(Path(options["out"]), predictor, predictions, options)


def check(words: Sequence[str], options: dict) -> None:
    """Raises UserError, with all problems, before anything is read."""
    problems = []
    keys = [word.partition("=")[0] for word in words]
    if options["images"] is None:
        problems.append("which images? give images=FILE, images=FOLDER or images=ZIP")
    if options["checkpoint"]:
        fixed = [key for key in keys if key not in WITH_CHECKPOINT]
        if fixed:
            problems.append(f"the checkpoint fixes its model, classes and preprocessing; leave out {', '.join(fixed)}")
    elif "model" not in keys:
        problems.append(
            "predict with what? give checkpoint=FILE, or model=NAME with weights.path=FILE or weights.name=SET"
        )
    if options["format"] not in FORMATS:
        problems.append(f"format is '{options['format']}', it must be one of {', '.join(FORMATS)}")
    problems += [f"{key} is {options[key]}, it must be 1 or more" for key in ("top", "shown") if options[key] < 1]
    if options["gradcam"] and not options["out"]:
        problems.append("gradcam=true writes pictures; say where with out=FOLDER")
    if problems:
        raise UserError(*problems)


def from_checkpoint(path: str, device: torch.device) -> Predictor:
    """The network of a checkpoint; photographs are read as in its own evaluation."""
    from vision2.inference.load_network import load_network
    from vision2.inference.predictor import Predictor
    from vision2.models.heads import is_differentiable
    from vision2.preparation import CROP_SHARE
    from vision2.training.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(path)
    network = load_network(checkpoint, device)
    decode_px = round(network.preprocessing.image_size_px / CROP_SHARE)
    explainable = is_differentiable(network.head)
    return Predictor(network, tuple(checkpoint["classes"]), str(path), decode_px, explainable)


def from_weights(config: Config, device: torch.device) -> Predictor:
    """A network with published or local weights and the classifier they come with.

    Raises:
        UserError: when the weights cannot be had, or have no classifier with known class names.
    """
    import torch

    from vision2.inference.predictor import Predictor
    from vision2.models.build import build_model
    from vision2.models.weights.load import find_weights, load_weights

    wanted = config.weights
    if wanted.name == "none" and not wanted.path:
        raise UserError("weights.name=none would predict at random; name a published set or give weights.path=FILE")
    source = find_weights(replace(wanted, name="default") if wanted.name == "auto" else wanted, config.model)
    if source.classes is None:
        raise UserError(f"{source.name} has no classifier with known class names (ImageNet's 1000, or a checkpoint's)")
    size = config.dataset.image_size_px
    network = build_model(replace(config.model, aux=False), len(source.classes), seed=0, image_size_px=size)
    report = load_weights(network, source, wanted.min_coverage)
    if any(name.startswith("head.") for name in report.kept):
        raise UserError(f"{source.name} does not fill the classifier of {network.name}, so it would predict at random")
    if size is not None:
        network.preprocessing = network.preprocessing.at_size(size)
    network = network.to(device, memory_format=torch.channels_last).eval()
    return Predictor(network, source.classes, source.name, decode_px=None)


def write(folder: Path, predictor: Predictor, predictions: Predictions, options: dict) -> None:
    """The tables for programs and the pictures for people."""
    from vision2.basics.atomic_write import write_json, write_text
    from vision2.inference.prediction_pictures import write_pictures
    from vision2.inference.predictor import as_csv, as_record

    write_text(folder / "predictions.csv", as_csv(predictions, options["top"]))
    write_json(folder / "predictions.json", as_record(predictions, predictor, options["top"]))
    shown = write_pictures(folder, predictor, predictions, at_most=options["shown"], gradcam=options["gradcam"])
    print(f"written: {folder}/predictions.csv, predictions.json, contact_sheet.png {shown}", file=sys.stderr)


def _progress(total: int):
    from tqdm import tqdm

    return tqdm(total=total, unit="image", leave=False, disable=None)


if __name__ == "__main__":
    sys.exit(main())
