"""python -m vision2.preview dataset=NAME model=NAME [split=train] [count=32] [out=FILE.png] [key=value ...]

Show what the network actually sees: its input turned back into pictures. For the training split, each augmented image is
above its evaluation view.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError, suggest
from vision2.basics.safe_text import printable
from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    from vision2.config.schema import Config

SPLITS = ("train", "val", "test")
MOST_IMAGES = 256
OPTIONS = {
    "split": Option("train", "train | val | test"),
    "count": Option(32, f"number of images, at most {MOST_IMAGES}", int),
    "out": Option(None, "the file to write; by default preview-DATASET-ROOT-MODEL.png"),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run)


def run(config: Config, options: dict) -> None:
    from vision2.data.files.locations import data_name

    split, count = options["split"], options["count"]
    default = f"preview-{data_name(config.dataset.name, config.dataset.root)}-{config.model.name}.png"
    out = Path(options["out"] or default).expanduser()
    if split not in SPLITS:
        raise UserError(f"unknown split '{split}'{suggest(split, SPLITS)}")
    if not 1 <= count <= MOST_IMAGES:
        raise UserError(f"count is {count}; it must be between 1 and {MOST_IMAGES}")
    if out.suffix.lower() != ".png":
        raise UserError(f"out is '{out}'; it must end in .png")
    if not out.absolute().parent.is_dir():
        raise UserError(f"out is '{out}', but there is no folder {out.absolute().parent}; create it or change out")
    from vision2.basics.written import WrittenFiles
    from vision2.pictures.images import captioned_grid, save_figure
    from vision2.pictures.preview import COLUMNS

    files = WrittenFiles(out.parent, out.name)
    pictures, captions = draw(config, split, count)
    save_figure(captioned_grid(pictures, captions, columns=COLUMNS), files.path(out.name))
    shown = f"{count} images of the {split} split of {config.dataset.name} as {config.model.name} sees them"
    print(f"{printable(str(out))}: {shown}")


def draw(config: Config, split: str, count: int) -> tuple[list, list[str]]:
    """(pictures, captions) of `preview_grid` for a split of the configured data set."""
    import torch

    from vision2.pictures.preview import preview_grid
    from vision2.preparation import open_batches, open_data_and_network, preprocessing_for, wanted_weights

    data, network = open_data_and_network(config)
    pretrained = wanted_weights(config).name != "none"
    preprocessing = preprocessing_for(config, network, data, pretrained=pretrained)
    # the batch size of a run, so that mixup partners and augmented views are those of the first epoch
    shared = {"device": torch.device("cpu"), "batch_size": config.train.batch_size or count}
    batches = dict(zip(SPLITS, open_batches(config, data, preprocessing, **shared), strict=True))
    plain = replace(config, dataset=replace(config.dataset, augment=None))
    evaluation = open_batches(plain, data, preprocessing, **shared)[0] if split == "train" else None
    return preview_grid(batches[split], evaluation, count=count, preprocessing=preprocessing, classes=data.classes)


if __name__ == "__main__":
    sys.exit(main())
