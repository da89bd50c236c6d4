"""`mode=eval checkpoint=...`: metrics of a saved network, with the class list and preprocessing of its checkpoint."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from vision2.basics.atomic_write import write_json
from vision2.basics.errors import UserError, suggest
from vision2.basics.preprocessing import CROP_SHARE
from vision2.basics.written import WrittenFiles
from vision2.config.schema import Config
from vision2.data.dataset import Dataset, open_dataset
from vision2.inference.load_network import load_network
from vision2.preparation import open_batches
from vision2.runs.environment import environment
from vision2.runs.records import plain
from vision2.stats.metrics import summarise_predictions
from vision2.strategies.transfer_source import trained_on
from vision2.training.checkpoint import load_checkpoint
from vision2.training.precision import choose_device
from vision2.training.predictions import predict


def evaluate(config: Config) -> dict:
    """Validation and test metrics of `config.checkpoint` on `config.dataset`; also written beside the checkpoint.

    Raises:
        UserError: for an unusable checkpoint or a data set whose classes are not the checkpoint's.
    """
    path = Path(config.checkpoint).expanduser()
    name = f"evaluation-{config.dataset.name}.json"
    files = WrittenFiles(path if path.is_dir() else path.parent, name)
    checkpoint = load_checkpoint(config.checkpoint)
    device = choose_device(config.device)
    network = load_network(checkpoint, device)
    size = network.preprocessing.image_size_px
    data = open_dataset(config.dataset, seed=config.seed, store_px=round(size / CROP_SHARE))
    data = in_classes_of(data, checkpoint["classes"])
    _check_not_trained_on(data, trained_on(files.folder, config.dataset))
    batch_size = config.train.batch_size or 64
    _, *splits = open_batches(config, data, network.preprocessing, device=device, batch_size=batch_size)
    metrics = {
        name: summarise_predictions(*predict(network, batches)) for name, batches in zip(("val", "test"), splits, strict=True)
    }
    result = {"status": "completed", "checkpoint": config.checkpoint, "classes": list(data.classes), "metrics": metrics}
    write_json(
        files.path(name),
        plain(result | {"dataset": asdict(config.dataset)} | environment()),
    )
    return result


def _check_not_trained_on(data: Dataset, trained: frozenset[str]) -> None:
    for split in (data.val, data.test):
        seen = len(trained.intersection(split.ids))
        if seen:
            raise UserError(
                f"{seen:,} of the {len(split):,} images of the {split.name} split are images the checkpoint was trained on;"
                " leave out seed, dataset.val_fraction and dataset.test_fraction, so that the split is the run's own"
            )


def in_classes_of(data: Dataset, classes: list[str]) -> Dataset:
    """The same images with labels in the checkpoint's order of classes, matched by name; classes may be missing.

    Raises:
        UserError: for a class that the checkpoint lacks.
    """
    unknown = [name for name in data.classes if name not in classes]
    if unknown:
        raise UserError(
            f"the data set has a class '{unknown[0]}' that the checkpoint lacks{suggest(unknown[0], classes)};"
            " name data with its classes, or choose some with dataset.classes"
        )
    position = np.array([classes.index(name) for name in data.classes])
    parts = {part.name: replace(part, labels=position[part.labels]) for part in (data.train, data.val, data.test)}
    return replace(data, classes=tuple(classes), **parts)
