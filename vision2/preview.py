"""python -m vision2.preview dataset=NAME model=NAME [split=train] [count=32] [out=preview.png] [key=value ...]

What the network really sees: its input turned back into pictures. For the training split each augmented image stands above
its evaluation view.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.basics.errors import UserError, suggest
from vision2.config.command import Option, run_command

if TYPE_CHECKING:
    import torch

    from vision2.config.schema import Config
    from vision2.data.batches import Batch

SPLITS = ("train", "val", "test")
COLUMNS = 8
MOST_IMAGES = 256
OPTIONS = {
    "split": Option("train", "train | val | test"),
    "count": Option(32, f"images shown, at most {MOST_IMAGES}", int),
    "out": Option("preview.png", "the picture that is written"),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run)


def run(config: Config, options: dict) -> None:
    split, count, out = options["split"], options["count"], Path(options["out"])
    if split not in SPLITS:
        raise UserError(f"unknown split '{split}'{suggest(split, SPLITS)}")
    if not 1 <= count <= MOST_IMAGES:
        raise UserError(f"count is {count}, it must be from 1 to {MOST_IMAGES}")
    if out.suffix.lower() != ".png":
        raise UserError(f"out is '{out}', it must end in .png")
    if not out.absolute().parent.is_dir():
        raise UserError(f"out is '{out}', but there is no folder {out.absolute().parent}")
    from vision2.basics.written import WrittenFiles
    from vision2.pictures.images import captioned_grid, save_figure

    files = WrittenFiles(out.parent, out.name)
    pictures, captions = draw(config, split, count)
    save_figure(captioned_grid(pictures, captions, columns=COLUMNS), files.path(out.name))
    print(f"{out}: {count} images of the {split} split of {config.dataset.name} as {config.model.name} sees them")


def draw(config: Config, split: str, count: int) -> tuple[list, list[str]]:
    """(pictures, captions) in the order of the grid: for train, a row of training views above one of evaluation views."""
    import torch

    from vision2.pictures.images import as_pictures, collect_images
    from vision2.preparation import (
        image_size_px,
        open_batches,
        open_data_and_network,
        preprocessing_for,
        wanted_weights,
    )

    data, network = open_data_and_network(config)
    pretrained = wanted_weights(config).name != "none"
    preprocessing = preprocessing_for(network, data, image_size_px(config), pretrained=pretrained)
    # drawn in one batch: mixup shows its partners, and an image looks as it does in the first epoch of a run
    shared = {"device": torch.device("cpu"), "batch_size": config.train.batch_size or count}
    batches = dict(zip(SPLITS, open_batches(config, data, preprocessing, **shared), strict=True))
    shown = first_images(batches[split].epoch(1), count)
    views = [(as_pictures(shown.images, preprocessing), captions_of(shown, data.classes))]
    if split == "train":
        plain = replace(config, dataset=replace(config.dataset, augment=None))
        evaluation, *_ = open_batches(plain, data, preprocessing, **shared)
        same = as_pictures(collect_images(evaluation, shown.indices.tolist()), preprocessing)
        views.append((same, [f"{data.classes[label]} (evaluation)" for label in shown.labels.tolist()]))
    pictures, captions = [], []
    for start in range(0, len(shown.labels), COLUMNS):
        for images, names in views:
            row = slice(start, start + COLUMNS)
            free = COLUMNS - len(names[row])
            pictures += [*images[row], *[images[0] * 0 + 255] * free]
            captions += [*names[row], *[""] * free]
    return pictures, captions


def first_images(batches, count: int) -> Batch:
    """The first `count` images as one batch; the targets of mixed batches stay shares."""
    import torch

    from vision2.data.batches import Batch

    found: list[Batch] = []
    for batch in batches:
        found.append(batch)
        if sum(len(part.labels) for part in found) >= count:
            break
    return Batch(*(torch.cat(tensors)[:count] for tensors in zip(*found, strict=True)))


def captions_of(batch: Batch, classes: Sequence[str]) -> list[str]:
    if batch.targets.ndim == 1:
        return [classes[label] for label in batch.labels.tolist()]
    return [_shares(target, classes) for target in batch.targets]


def _shares(target: torch.Tensor, classes: Sequence[str]) -> str:
    parts = [(share, classes[label]) for label, share in enumerate(target.tolist()) if share > 0.005]
    return " + ".join(f"{share:.0%} {name}" for share, name in sorted(parts, reverse=True))


if __name__ == "__main__":
    sys.exit(main())
