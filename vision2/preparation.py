"""From a checked configuration to everything a run works with: data, network, weights, batches."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import CROP_SHARE, Preprocessing
from vision2.config.checks import image_size_px
from vision2.config.schema import Config
from vision2.data.batches import Batches
from vision2.data.dataset import Dataset, open_dataset
from vision2.data.leaks import GROUP_PATTERN, copies_in_train, separated_versions
from vision2.data.remarks import training_remarks
from vision2.data.sampling import class_weights
from vision2.features.compute import kept_features
from vision2.features.feature_store import image_ids
from vision2.models.build import build_model
from vision2.models.network import Network
from vision2.models.settings import WeightsConfig
from vision2.models.weights.load import WeightsReport, find_weights, load_weights
from vision2.runs.records import RunRecord
from vision2.runs.transfer_source import lineage, preprocessing_note, scale_warning, source_checkpoint, trained_on
from vision2.training.fit import Task
from vision2.training.precision import choose_device

HASHED_WITHOUT_CACHE = 5_000  # photographs whose pixels are read for their hash alone
SMALL_IMAGE_PX = 64  # up to here a batch of 128 fits everywhere, above it 32 does


@dataclass(frozen=True)
class Prepared:
    """What a run starts from: the task, what was loaded into its network, and where that comes from."""

    task: Task
    weights: WeightsReport | None
    origin: dict  # {"weights", "lineage"}


def prepare(config: Config, saved: dict | None = None) -> Prepared:
    """Find weights, open the data, build the network.

    Args:
        saved: a checkpoint to resume from; its preprocessing holds, and no pretrained weights are looked for.

    Raises:
        UserError: for missing weights or data, before anything is written.
    """
    device = choose_device(config.device)
    source = None if saved else find_weights(wanted_weights(config), config.model)
    data, network = open_data_and_network(config)
    usual, size = network.preprocessing, image_size_px(config)
    report = load_weights(network, source, config.weights.min_coverage, classes=data.classes) if source else None
    if saved:
        _check_same_classes(data, saved["classes"])
        network.preprocessing = Preprocessing.from_dict(saved["preprocessing"])
        origin = {key: saved[key] for key in ("weights", "lineage")}
    else:
        network.preprocessing = preprocessing_for(config, network, data, pretrained=report is not None)
        weights = asdict(report) if report else None
        origin = {"weights": weights, "lineage": lineage(source.path if source else None, weights)}
    _report_leaks(config, data)
    if not saved:
        _check_head_is_trained(report, config)
    if report:
        _report_source(report, usual, size, data)
        _warn_about_seen_images(source.path.parent, config, data)
    network.to(device, memory_format=torch.channels_last if config.train.channels_last else torch.contiguous_format)
    batch_size = config.train.batch_size or (128 if size <= SMALL_IMAGE_PX else 32)
    batches = open_batches(config, data, network.preprocessing, device=device, batch_size=batch_size)
    task = Task(
        model=config.model,
        dataset=config.dataset,
        strategy=config.strategy,
        train=config.train,
        seed=config.seed,
        data=data,
        network=network,
        images=dict(zip(("train", "val", "test"), batches, strict=True)),
        class_weights=_class_weights(config, data),
        saved=saved,
    )
    return Prepared(task, report, origin)


def open_data_and_network(config: Config) -> tuple[Dataset, Network]:
    """The data set, and an untrained network with its class count."""
    size = image_size_px(config)
    data = open_dataset(config.dataset, seed=config.seed, store_px=round(size / CROP_SHARE))
    for line in training_remarks(data.report):
        print(line, flush=True)
    return data, build_model(config.model, len(data.classes), seed=config.seed, image_size_px=size)


def open_for_transfer(config: Config) -> tuple[Dataset, Network, Network]:
    """The data set, the pretrained network of the configuration, and the same network untrained, equally prepared.

    Raises:
        UserError: when there are no pretrained weights, or they cannot be had.
    """
    device = choose_device(config.device)
    source = find_weights(wanted_weights(config), config.model)
    if source is None:
        raise UserError(
            "pretrained weights are needed here; give weights.path=FILE, strategy.source=RUN_FOLDER, or a model with"
            " published weights"
        )
    data, network = open_data_and_network(config)
    size = image_size_px(config)
    untrained = build_model(config.model, len(data.classes), seed=config.seed, image_size_px=size)
    load_weights(network, source, config.weights.min_coverage)
    network.preprocessing = preprocessing_for(config, network, data, pretrained=True)
    untrained.preprocessing = network.preprocessing
    return data, *(made.to(device, memory_format=torch.channels_last).eval() for made in (network, untrained))


def open_batches(
    config: Config, data: Dataset, preprocessing: Preprocessing, *, device: torch.device, batch_size: int
) -> tuple[Batches, Batches, Batches]:
    """Training batches (shuffled, augmented), validation and test batches (neither).

    Raises:
        UserError: when the training images make no batch at all.
    """
    shared = {
        "batch_size": batch_size,
        "device": device,
        "num_classes": len(data.classes),
        "seed": config.seed,
        "workers": config.dataset.workers,
        "channels_last": config.train.channels_last,
    }
    augment, sampler = config.dataset.augment, config.train.sampler
    train = Batches(data.train, preprocessing, augment=augment, shuffle=True, sampler=sampler, **shared)
    if len(train) == 0:
        raise UserError(f"{len(data.train.labels)} training image is too few to train on; add images")
    return train, Batches(data.val, preprocessing, **shared), Batches(data.test, preprocessing, **shared)


def wanted_weights(config: Config) -> WeightsConfig:
    """`auto` spelled out: what the strategy needs; a source run stands for its best checkpoint.

    A strategy that starts at random uses neither: sweeps name a file or a source beside `strategy=scratch,finetune`.

    Raises:
        UserError: for a source run that failed or has no checkpoint.
    """
    if not config.strategy.pretrained:
        return replace(config.weights, name="none", path=None)
    if config.strategy.source:
        return replace(config.weights, path=str(source_checkpoint(config.strategy.source)))
    return replace(config.weights, name="default") if config.weights.name == "auto" else config.weights


def preprocessing_for(config: Config, network: Network, data: Dataset, *, pretrained: bool) -> Preprocessing:
    """The weights' own statistics when there are weights, else those of the training images.

    Sets of one fixed square size are used whole; photographs become squares as `dataset.resize` or else the weights say.
    """
    size = image_size_px(config)
    preprocessing = network.preprocessing.at_size(size)
    if config.dataset.resize is not None:
        preprocessing = replace(preprocessing, resize=config.dataset.resize)
    if data.train.images.fixed_size_px is not None:
        preprocessing = replace(preprocessing, resize_px=size)
    if not pretrained:
        mean, std = data.statistics()
        preprocessing = replace(preprocessing, mean=tuple(mean), std=tuple(std))
    return preprocessing


def check_resumable(task: Task, run_dir: Path, epochs: int) -> None:
    """Refuse to resume where that would mix two runs, before anything in the run folder changes.

    Args:
        epochs: how many the resumed run would have in all; 0 where a classifier is fitted at once.

    Raises:
        UserError: for fewer epochs than are finished, other images than it started with, or damaged records.
    """
    done = task.saved["state"]["epoch"]
    if 0 < epochs < done:
        raise UserError(f"the run has finished {done} epochs already, more than train.epochs={epochs}; give {done} or more")
    record = RunRecord(run_dir)
    try:
        record.history()
        fingerprint = record.split()["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"the run cannot be resumed because its metrics.jsonl or split.json is damaged: {error}") from error
    if fingerprint != task.data.fingerprint:
        raise UserError(
            "the data set holds other images, labels or splits than the run started with (images it was trained on could"
            " be in its test split now); give dataset.root=PATH of the original files, or start a new run"
        )


def _check_same_classes(data: Dataset, classes: list[str]) -> None:
    if list(data.classes) != list(classes):
        raise UserError(
            f"the data set has other classes ({', '.join(data.classes[:5])}; {len(data.classes)}) than the resumed run"
            f" ({', '.join(classes[:5])}; {len(classes)}); name the data it started with, or start a new run"
        )


def _check_head_is_trained(report: WeightsReport | None, config: Config) -> None:
    """An untrained head guesses; with train.epochs=0 nothing trains it, unless a classifier is fitted on features."""
    if report is None:
        if config.train.epochs == 0:
            print("warning: train.epochs=0 evaluates a random network; the figures are those of chance", flush=True)
        return
    fitted = config.strategy.name == "feature_extraction" and config.strategy.classifier != "linear"
    if report.head_is_new and config.train.epochs == 0 and not fitted:
        raise UserError(
            f"train.epochs=0 would evaluate an untrained head (head {report.head}); train one with train.epochs=1 or more,"
            " or evaluate the file's own head with mode=eval weights.path=FILE"
        )


def _report_source(report: WeightsReport, usual: Preprocessing, size: int, data: Dataset) -> None:
    note = preprocessing_note(report.preprocessing, usual)
    warning = scale_warning(report.preprocessing, size, data.train.images.fixed_size_px)
    for line in (note, warning):
        if line:
            print(line, flush=True)


def _warn_about_seen_images(run_dir: Path, config: Config, data: Dataset) -> None:
    """A source that was trained on images of the test or validation split makes the result look better than it is."""
    trained = trained_on(run_dir, config.dataset)
    for name, split in (("test", data.test), ("validation", data.val)):
        seen = len(trained.intersection(split.ids))
        if seen:
            print(
                f"warning: the source was trained on {seen:,} of these {len(split):,} {name} images, so that the {name}"
                " figures are too good; use the seed (and the split) of that run",
                flush=True,
            )


def _report_leaks(config: Config, data: Dataset) -> None:
    """Print and record copies of evaluation images in the training split, and versions of one picture on both sides."""
    folder = kept_features(config.dataset)
    if folder is None and len(data.train) > HASHED_WITHOUT_CACHE:
        return  # their hashes could not be kept, and reading every photograph at each start takes too long
    hashes = {split.name: image_ids(split.images, folder and folder / "ids") for split in (data.train, data.val, data.test)}
    others = {split.name: (split.ids, hashes[split.name]) for split in (data.val, data.test)}
    copies = copies_in_train(hashes["train"], others)
    data.report["copies_in_train"] = {split: {"count": len(ids), "ids": ids[:20]} for split, ids in copies.items()}
    for split, ids in copies.items():
        if ids:
            print(
                f"warning: {len(ids):,} images of the {split} split are also in the training split, e.g. {ids[0]}", flush=True
            )
    if config.dataset.group_pattern is None and data.report.get("drawn"):
        apart = separated_versions({split.name: split.ids for split in (data.train, data.val, data.test)})
        data.report["separated_versions"] = len(apart)
        if apart:
            print(
                f"warning: versions of {len(apart):,} pictures (such as {apart[0]}) are in more than one split; to keep them"
                f" together add 'dataset.group_pattern=\"{GROUP_PATTERN}\"'",
                flush=True,
            )


def _class_weights(config: Config, data: Dataset) -> torch.Tensor | None:
    if config.train.class_weights == "none":
        return None
    return torch.as_tensor(class_weights(data.train.labels, len(data.classes)), dtype=torch.float32)
