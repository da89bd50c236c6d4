"""`mode=eval`: metrics of a saved network, with the classes and preprocessing of its checkpoint or weights file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from vision2.basics.atomic_write import write_json, write_text
from vision2.basics.errors import UserError, suggest
from vision2.basics.preprocessing import CROP_SHARE, Preprocessing
from vision2.basics.run_files import BEST
from vision2.basics.safe_text import printable, spreadsheet_cell
from vision2.basics.text_table import as_csv
from vision2.basics.written import WrittenFiles
from vision2.config.checks import image_size_px
from vision2.config.schema import Config
from vision2.data.batches import Batches
from vision2.data.dataset import Split, data_digest, open_dataset, open_everything
from vision2.data.remarks import training_remarks
from vision2.data.settings import DatasetConfig
from vision2.features.quick_pass import QuickPass
from vision2.inference.load_network import Trained, require_classes, trained_of_checkpoint, trained_of_weights
from vision2.models.network import Network
from vision2.preparation import measures_of
from vision2.runs.environment import environment
from vision2.runs.records import RunRecord, plain
from vision2.runs.transfer_source import trained_on
from vision2.training.measure import Measure, on_images
from vision2.training.precision import choose_device

BATCH_SIZE = 64
CLASSES_SHOWN = 3
PREDICTION_COLUMNS = ("split", "image", "class", "predicted", "probability", "probability_of_class", "right")


def evaluate(config: Config) -> dict:
    """Compute the metrics of `config.checkpoint`, or of the file in `config.weights` with its own head.

    They are also written next to that file, with the prediction for each image. The run's own data are evaluated on its
    validation and test splits, other data on all their images (or on the parts `val` and `test` that they come with). Data
    that are split by class are evaluated on the episodes of their validation and test classes.

    Raises:
        UserError: for an unusable file, an untrained head, or a data set whose classes are not the file's.
    """
    device = choose_device(config.device)
    trained = _trained(config, device)
    network = trained.network
    classes, splits, measures = _splits(config, trained)
    network.preprocessing = _preprocessing(config, network, splits)
    print(_described(network.preprocessing, known=bool(config.checkpoint)), flush=True)
    files = _Files(config, trained, classes, splits)
    metrics, rows = {}, []
    for name, split in splits.items():
        batches = Batches(
            split,
            network.preprocessing,
            batch_size=config.train.batch_size or BATCH_SIZE,
            device=device,
            num_classes=len(classes),
            seed=0,
            workers=config.dataset.workers,
        )
        found = measures[name](network, batches, forward=QuickPass(network, len(split)))
        metrics[name] = found.metrics
        if found.predictions is not None:
            rows += _prediction_rows(split, found.predictions.probabilities, classes)
    evaluated = config.checkpoint or str(trained.file)
    result = {"status": "completed", "checkpoint": evaluated, "classes": list(classes), "metrics": metrics}
    result["preprocessing"] = network.preprocessing.to_dict()
    if rows:
        write_text(files.path(".csv"), as_csv(PREDICTION_COLUMNS, rows))
    write_json(files.path(".json"), plain(result | {"dataset": asdict(config.dataset)} | environment()))
    each = f", and the prediction for each image in {files.path('.csv').name}" if rows else ""
    print(printable(f"written: {files.path('.json')}{each}"))
    return result


class _Files:
    """The files of an evaluation; their name depends on everything that decides its result, so that no two share one."""

    def __init__(self, config: Config, trained: Trained, classes: Sequence[str], splits: dict[str, Split]):
        place = str(Path(config.dataset.root).expanduser().resolve()) if config.dataset.root else ""
        labelled = [[split.name, split.ids, split.labels.tolist()] for split in splits.values()]
        network = [trained.file.name, trained.network.preprocessing.to_dict(), list(classes)]
        settings = [] if config.checkpoint else [asdict(config.model), config.weights.key]
        decides = json.dumps([place, labelled, network, settings])
        named = "" if trained.file.name == BEST else f"-{trained.file.stem}"  # several files may share a folder
        digest = hashlib.blake2b(decides.encode(), digest_size=4).hexdigest()
        self.stem = f"evaluation-{config.dataset.name}-{digest}{named}"
        self.files = WrittenFiles(trained.file.parent, *(self.stem + suffix for suffix in (".csv", ".json")))

    def path(self, suffix: str) -> Path:
        return self.files.path(self.stem + suffix)


def _trained(config: Config, device: torch.device) -> Trained:
    if config.checkpoint:
        return trained_of_checkpoint(config.checkpoint, device)
    return trained_of_weights(config.weights, config.model, image_size_px(config), device)


def classes_of(trained: Trained, own: Sequence[str]) -> list[str]:
    """The classes of the network's outputs. If the file does not name them, they are those of the data set, in its order.

    Raises:
        UserError: if the file does not name them and their number differs from the data set's.
    """
    if trained.are_named:
        return list(trained.classes)
    if len(own) != len(trained.classes):
        raise UserError(
            f"{trained.source} has a head for {len(trained.classes)} classes but the data set has {len(own)}; give the"
            " file's class names, one per line, with weights.classes=FILE, or use the data set it was trained on"
        )
    print(
        f"warning: {trained.source} does not name its classes, so they are assumed to be in the data set's order"
        f" ({', '.join(map(printable, own[:CLASSES_SHOWN]))}...); to name them, one per line, set weights.classes=FILE",
        flush=True,
    )
    return list(own)


def _preprocessing(config: Config, network: Network, splits: dict[str, Split]) -> Preprocessing:
    """The checkpoint's. A weights file is evaluated as a run trained from it would be: `dataset.resize` applies, and
    images of one fixed size are used whole."""
    preprocessing = network.preprocessing
    if config.checkpoint:
        return preprocessing
    if config.dataset.resize is not None:
        preprocessing = replace(preprocessing, resize=config.dataset.resize)
    fixed = all(split.images.fixed_size_px is not None for split in splits.values())
    return replace(preprocessing, resize_px=preprocessing.image_size_px) if fixed else preprocessing


def _described(preprocessing: Preprocessing, *, known: bool) -> str:
    """The size and normalisation of the images, which must be those of training. `known`: the checkpoint holds them."""
    mean, std = (", ".join(f"{value:.3f}" for value in values) for values in (preprocessing.mean, preprocessing.std))
    doubt = "" if known else "; a file of weights does not say its own, so these are the usual ones of the model"
    return f"images: {preprocessing.image_size_px} px ({preprocessing.resize}), mean {mean}, std {std}{doubt}"


def _splits(config: Config, trained: Trained) -> tuple[list[str], dict[str, Split], dict[str, Measure]]:
    """The classes of the network's outputs, the splits to evaluate, with labels in the order of these classes, and how."""
    if config.dataset.split_by == "image":
        require_classes(trained.network, trained.source)
    store_px, folder = round(trained.network.preprocessing.image_size_px / CROP_SHARE), trained.file.parent
    seen = trained_on(folder, config.dataset) or _trained_on_copy(folder, config.dataset)
    measures = dict.fromkeys(("val", "test", "all"), on_images)
    own_splits = not config.dataset.root or config.dataset.split_by == "class"
    if seen or own_splits:  # the run's own data, or data whose splits follow from the settings
        data = open_dataset(config.dataset, seed=config.seed, store_px=store_px)
        own, splits, report = data.classes, {"val": data.val, "test": data.test}, data.report
        measures |= measures_of(config, data)
        _check_not_trained_on(splits, seen)
    else:
        own, splits, report = open_everything(config.dataset, store_px=store_px)
    for line in training_remarks(report):
        print(line, flush=True)
    if config.dataset.split_by == "class":
        return list(data.all_classes), splits, measures
    classes = classes_of(trained, own)
    return classes, {name: in_classes_of(split, own, classes) for name, split in splits.items()}, measures


def _trained_on_copy(folder: Path, dataset: DatasetConfig) -> frozenset[str]:
    """Ids of the images that the run in `folder` was trained on, if `dataset` holds the same files in another place."""
    with suppress(UserError, OSError, ValueError, KeyError, TypeError):
        split = RunRecord(folder).split()
        if split["report"]["digest"] == data_digest(dataset):
            return frozenset(split["splits"]["train"]["ids"])
    return frozenset()


def _prediction_rows(split: Split, probabilities: np.ndarray, classes: Sequence[str]) -> list[list[str]]:
    likeliest, classes = probabilities.argmax(1), [spreadsheet_cell(name) for name in classes]
    return [
        [
            split.name,
            spreadsheet_cell(name),
            classes[label],
            classes[top],
            f"{row[top]:.6f}",
            f"{row[label]:.6f}",
            str(int(top == label)),
        ]
        for name, label, top, row in zip(split.ids, split.labels, likeliest, probabilities, strict=True)
    ]


def _check_not_trained_on(splits: dict[str, Split], trained: frozenset[str]) -> None:
    for split in splits.values():
        seen = len(trained.intersection(split.ids))
        if seen:
            raise UserError(
                f"the checkpoint was trained on {seen:,} of the {len(split):,} images of the {split.name} split; leave out"
                " seed, dataset.split_seed, dataset.val_fraction and dataset.test_fraction, so that the run's own split is used"
            )


def in_classes_of(split: Split, own: Sequence[str], classes: Sequence[str]) -> Split:
    """The same images with labels in the checkpoint's order of classes, matched by name; classes may be missing.

    Raises:
        UserError: for a class that the checkpoint lacks.
    """
    unknown = [name for name in own if name not in classes]
    if unknown:
        raise UserError(
            "the data set may only have classes of the checkpoint (dataset.classes=[NAME,...] selects some), which lacks"
            f" '{unknown[0]}'{suggest(unknown[0], classes)}"
        )
    position = np.array([classes.index(name) for name in own])
    return replace(split, labels=position[split.labels])
