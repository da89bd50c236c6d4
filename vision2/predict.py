"""Predict the classes of images with a vision2 checkpoint or with published weights.

    python -m vision2.predict checkpoint=RUN_FOLDER images=FOLDER
    python -m vision2.predict model=mobilenet_v2 weights.name=IMAGENET1K_V1 images=PHOTO.jpg
    python -m vision2.predict model=mobilenet_v1 weights.path=FILE images=FOLDER out=FOLDER gradcam=true
    python -m vision2.predict model=mobilenet_v2 weights.path=FILE support=FOLDER images=NEW

Class names and preprocessing come from the checkpoint or the weights (if the weights do not name their classes, they are
numbers unless weights.classes=FILE names them). `images` is an image, a folder with its subfolders, a zip, or a list: a .txt
with one path per line or a .csv with paths in its first column, relative to the list. The first frame of an animation is
used. Images are predicted in the order of their names, or in the order of the list. Files that cannot be read are listed and
counted; the exit code is 0 if at least one can be read.

With support=FOLDER (or a zip), the classes are its subfolders, each with a few images, and nothing is trained: an image gets
the class with the nearest mean in the features before the network's head. The distance is the one that a checkpoint was
trained for (prototypical and matching networks), otherwise the cosine distance. Probabilities are the softmax of 20 times the
cosine similarity, or of the negative squared Euclidean distance. They order the classes; with so few images, nothing
calibrates them.

CSV: image, class, probability, then class_2, probability_2, ... for the next most probable classes, up to `top` in all. Names
that begin with = + - @ get a leading apostrophe, so that no spreadsheet runs them; control characters are escaped.
With out=FOLDER: predictions.csv, predictions.json, contact_sheet.png, gradcam/*.png.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError
from vision2.basics.run_files import checkpoint_file
from vision2.basics.safe_text import printable
from vision2.basics.written import WrittenFiles
from vision2.config.command import Option, run_command
from vision2.data.files.locations import existing_path

if TYPE_CHECKING:
    import torch

    from vision2.config.schema import Config
    from vision2.data.files.listing import FileEntry
    from vision2.inference.predictor import Predictor
    from vision2.inference.support import Support

FORMATS = ("table", "csv", "json")
BATCH_SIZE = 32
WITH_CHECKPOINT = ("device", "train.batch_size")  # settings that a checkpoint does not fix
OPTIONS = {
    "checkpoint": Option(None, "a checkpoint or the run folder that holds it"),
    "images": Option(None, "an image, a folder, a zip, or a list of images (.txt, .csv)"),
    "support": Option(None, "a folder with a few images of each new class in subfolders, used instead of the network's head"),
    "top": Option(5, "classes shown for each image", int),
    "format": Option("table", ", ".join(FORMATS)),
    "out": Option(None, "a folder for predictions.csv, predictions.json, contact_sheet.png"),
    "gradcam": Option(False, "also write gradcam/*.png: where the network looked for the predicted class", bool),
    "shown": Option(48, "how many images are on the contact sheet, evenly spread over all", int),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=configured)


def configured(overrides: Sequence[str]) -> tuple[Config, list[str]]:
    """The configuration and its overrides, which alone tell whether a model was named."""
    from vision2.config.compose import load_without_data

    return load_without_data(overrides), list(overrides)


def run(given: tuple[Config, list[str]], options: dict) -> None:
    """Find the images, build the network, predict, print, write."""
    config, overrides = given
    check(overrides, options)
    from tqdm import tqdm

    from vision2.data.remarks import remarks
    from vision2.inference import prediction_files as output
    from vision2.inference import predictor as made
    from vision2.inference.support import read_support
    from vision2.training.precision import choose_device

    files = WrittenFiles(options["out"], *output.FILES) if options["out"] else None
    listing = made.list_images_of(options["images"])
    entries = listing.images
    support = read_support(options["support"]) if options["support"] else None
    batch_size = config.train.batch_size or BATCH_SIZE
    predictor = _predictor(config, options, choose_device(config.device))
    if support:
        predictor = _adapted(predictor, support, entries, batch_size)
    with tqdm(total=len(entries), unit="image", leave=False, disable=None) as bar:
        predictions = made.predict_images(predictor, entries, batch_size=batch_size, progress=bar.update)
    written_as = {"table": output.as_table, "csv": output.as_csv, "json": output.as_json}[options["format"]]
    print(written_as(predictions, predictor, options["top"]).rstrip("\n"))
    for _, sentence in remarks(listing.notes):
        print(sentence, file=sys.stderr)
    if options["format"] == "csv":  # the other formats list them
        for name, reason in predictions.unreadable.items():
            print(f"unreadable: {printable(name)}: {reason}", file=sys.stderr)
    if predictions.unreadable:
        print(f"skipped: {len(predictions.unreadable):,} of {len(entries):,} files cannot be read", file=sys.stderr)
    if not predictor.are_named:
        print(
            f"note: {predictor.source} does not name its {len(predictor.classes):,} classes, so they are numbers;"
            " list their names, one per line, in weights.classes=FILE",
            file=sys.stderr,
        )
    if files:
        shown = {"top": options["top"], "shown": options["shown"], "gradcam": options["gradcam"]}
        print(f"written: {output.write_files(files, predictor, predictions, **shown)}", file=sys.stderr)


def _predictor(config: Config, options: dict, device: torch.device) -> Predictor:
    from vision2.inference import predictor as made

    if options["checkpoint"]:
        return made.predictor_of_checkpoint(options["checkpoint"], device)
    of_weights = made.predictor_of_backbone if options["support"] else made.predictor_of_weights
    return of_weights(config.weights, config.model, config.dataset.image_size_px, device)


def _adapted(predictor: Predictor, support: Support, entries: Sequence[FileEntry], batch_size: int) -> Predictor:
    """The predictor for the support classes; says how it decides, and which images it has been given twice."""
    from vision2.inference.support import copies_in_support, with_support

    print(support.describe(predictor.distance), file=sys.stderr)
    if copies := copies_in_support(entries, support):
        print(
            f"warning: {len(copies):,} of the {len(entries):,} images are also in the support folder, e.g."
            f" {printable(copies[0])}; their predictions say nothing about new images",
            file=sys.stderr,
        )
    return with_support(predictor, support, batch_size)


def check(overrides: Sequence[str], options: dict) -> None:
    """Raise UserError with all problems before anything is read."""
    problems = []
    keys = [word.partition("=")[0] for word in overrides]
    if options["images"] is None:
        problems.append("which images? give images=FILE, images=FOLDER, images=ZIP or images=LIST.txt")
    fixed = [key for key in keys if key not in WITH_CHECKPOINT]
    if options["checkpoint"] and fixed:
        problems.append(f"checkpoint= fixes the model, classes and preprocessing; leave out {', '.join(fixed)}")
    if not options["checkpoint"] and "model" not in keys:
        problems.append("predict with what? give checkpoint=FILE, or model=NAME with weights.path=FILE or weights.name=SET")
    if options["support"] and "weights.classes" in keys:
        problems.append("weights.classes names the outputs of a head, which support= replaces; leave it out")
    if options["format"] not in FORMATS:
        problems.append(f"format is '{options['format']}'; it must be one of {', '.join(FORMATS)}")
    problems += [f"{key} is {options[key]}; it must be 1 or more" for key in ("top", "shown") if options[key] < 1]
    if options["gradcam"] and not options["out"]:
        problems.append("gradcam=true writes pictures; say where with out=FOLDER")
    if problems:
        raise UserError(*problems)
    existing_path(options["images"], "images")
    if options["checkpoint"]:
        checkpoint_file(options["checkpoint"])


if __name__ == "__main__":
    sys.exit(main())
