"""Turn a checked configuration into everything a run works with: data, network, weights, batches."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from vision2.basics.errors import UserError, first_few
from vision2.basics.preprocessing import CROP_SHARE, Preprocessing
from vision2.basics.safe_text import printable
from vision2.config.checks import image_size_px
from vision2.config.schema import Config
from vision2.data.batches import Batches
from vision2.data.dataset import Dataset, open_dataset
from vision2.data.leaks import GROUP_PATTERN, copies_in_train, separated_versions
from vision2.data.remarks import training_remarks
from vision2.data.sampling import class_weights
from vision2.faults.data import spoilt_data
from vision2.faults.tasks import spoilt_task
from vision2.features.compute import features_cache
from vision2.features.feature_store import image_ids
from vision2.meta.evaluation import episode_measures
from vision2.models.build import build_model
from vision2.models.network import Network
from vision2.models.settings import WeightsConfig
from vision2.models.weights.load import WeightsReport, find_weights, load_weights
from vision2.runs.records import RunRecord
from vision2.runs.transfer_source import lineage, preprocessing_note, scale_warning, source_checkpoint, trained_on
from vision2.strategies import STRATEGIES
from vision2.training.fit import Task
from vision2.training.measure import Measure, on_images, on_seen_and_unseen
from vision2.training.precision import choose_device
from vision2.training.ranks import ONE_RANK, Ranks, device_name, synchronised

HASHED_WITHOUT_CACHE = 5_000  # up to this many training photographs are read only for their hashes
SMALL_IMAGE_PX = 64  # up to this size the default batch is 128, above it 32


@dataclass(frozen=True)
class Prepared:
    """What a run starts from: the task, the weights loaded into its network, and their origin."""

    task: Task
    weights: WeightsReport | None
    origin: dict  # {"weights", "lineage"}


def prepare(config: Config, saved: dict | None = None, ranks: Ranks = ONE_RANK) -> Prepared:
    """Find weights, open the data, build the network.

    Args:
        saved: a checkpoint to resume from; its preprocessing is used, and no pretrained weights are loaded.
        ranks: the processes of the run; the first one downloads and decodes what the others then find.

    Raises:
        UserError: for missing weights or data, before anything is written.
    """
    device = choose_device(device_name(config.device, ranks.place))
    with ranks.first_alone():
        source = None if saved else find_weights(wanted_weights(config), config.model)
        data, network = open_data_and_network(config)
    data = spoilt_data(config.fault, data, seed=config.seed)
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
    task = _task(config, data, _placed(network, config, device, ranks), saved, ranks)
    return Prepared(spoilt_task(config.fault, task), report, origin)


def _placed(network: Network, config: Config, device: torch.device, ranks: Ranks) -> Network:
    """The network on its device; with `train.sync_batchnorm`, its statistics are those of the images of all processes."""
    network.to(device, memory_format=torch.channels_last if config.train.channels_last else torch.contiguous_format)
    if ranks.size == 1 or not config.train.sync_batchnorm:
        return network
    if device.type != "cuda":
        raise UserError("train.sync_batchnorm=true needs GPUs; leave it out, or use strategy.batchnorm=frozen")
    return synchronised(network)


def _task(config: Config, data: Dataset, network: Network, saved: dict | None, ranks: Ranks) -> Task:
    """The task, with the batches of every split."""
    device = next(network.parameters()).device
    batch_size = config.train.batch_size or (128 if image_size_px(config) <= SMALL_IMAGE_PX else 32)
    ranks.place.check_batch(batch_size)
    batches = open_batches(config, data, network.preprocessing, device=device, batch_size=batch_size)
    return Task(
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
        measures=measures_of(config, data),
        ranks=ranks,
    )


def measures_of(config: Config, data: Dataset) -> dict[str, Measure]:
    """How the validation and the test split are measured: by episodes if their classes are not those of training."""
    if not data.new_classes:
        return {"val": on_images, "test": on_seen_and_unseen(data.unseen) if data.unseen else on_images}
    method = STRATEGIES[config.strategy.name].method(config.strategy)
    return episode_measures(data, config.episodes, method, seed=config.seed)


def open_data_and_network(config: Config) -> tuple[Dataset, Network]:
    """The data set, and an untrained network for its classes."""
    size = image_size_px(config)
    data = open_dataset(config.dataset, seed=config.seed, store_px=round(size / CROP_SHARE))
    for line in training_remarks(data.report):
        print(line, flush=True)
    return data, build_model(config.model, len(data.classes), seed=config.seed, image_size_px=size)


def open_for_transfer(config: Config) -> tuple[Dataset, Network, Network]:
    """The data set, the configured pretrained network, and the same network untrained, with equal preprocessing.

    Raises:
        UserError: if there are no pretrained weights, or they cannot be loaded.
    """
    device = choose_device(config.device)
    source = find_weights(wanted_weights(config), config.model)
    if source is None:
        raise UserError("this command needs pretrained weights but strategy.pretrained=false; leave out strategy.pretrained")
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
    """Training batches (shuffled, augmented), validation and test batches (neither)."""
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
    return train, Batches(data.val, preprocessing, **shared), Batches(data.test, preprocessing, **shared)


def wanted_weights(config: Config) -> WeightsConfig:
    """The weights that the strategy needs: `auto` becomes the default set, a source run its best checkpoint.

    A strategy that starts from random weights ignores both: sweeps combine a file or source with
    `strategy=scratch,finetune`.

    Raises:
        UserError: for a source run that failed or has no checkpoint.
    """
    if not config.strategy.pretrained:
        return replace(config.weights, name="none", path=None)
    if config.strategy.source:
        return replace(config.weights, path=str(source_checkpoint(config.strategy.source)))
    return replace(config.weights, name="default") if config.weights.name == "auto" else config.weights


def preprocessing_for(config: Config, network: Network, data: Dataset, *, pretrained: bool) -> Preprocessing:
    """The preprocessing of the pretrained weights or, without them, with the statistics of the training images.

    Images of one fixed square size are used whole; photographs become squares as set by `dataset.resize` or the weights.
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
    """Refuse to resume if that would mix two runs, before anything in the run folder changes.

    Args:
        epochs: of the resumed run in total; 0 if a classifier is fitted directly.

    Raises:
        UserError: for fewer epochs than are finished, other images than at the start, or damaged records.
    """
    done = task.saved["state"]["epoch"]
    if 0 < epochs < done:
        raise UserError(f"the run has already finished {done} epochs; set train.epochs to {done} or more, not {epochs}")
    record = RunRecord(run_dir)
    try:
        record.history()
        fingerprint = record.split()["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"the run cannot be resumed because its metrics.jsonl or split.json is damaged ({error})"
        raise UserError(f"{reason}; start a new run") from error
    if fingerprint != task.data.fingerprint:
        raise UserError(
            "the data set has other images, labels or splits than when the run started (images it was trained on could now"
            " be in the test split); set dataset.root=PATH to the original files, or start a new run"
        )


def _check_same_classes(data: Dataset, classes: list[str]) -> None:
    if list(data.classes) != list(classes):
        raise UserError(
            f"the data set has other classes ({first_few(data.classes, 5)}) than the resumed run"
            f" ({first_few(classes, 5)}); set dataset.root=PATH to the data it started with, or start a new run"
        )


def _check_head_is_trained(report: WeightsReport | None, config: Config) -> None:
    """Refuse to evaluate an untrained head: train.epochs=0 trains nothing, unless a classifier is fitted on features."""
    if report is None:
        if config.train.epochs == 0:
            print("warning: train.epochs=0 evaluates a random network, so its results are at chance", flush=True)
        return
    fitted = config.strategy.name == "feature_extraction" and config.strategy.classifier != "linear"
    if report.head_is_new and config.train.epochs == 0 and not fitted:
        raise UserError(
            f"train.epochs=0 would evaluate an untrained head ({report.head.removeprefix('new: ')}); train it with"
            " train.epochs=1 or more, or evaluate the head of the file, if it has one, with mode=eval weights.path=FILE"
        )


def _report_source(report: WeightsReport, usual: Preprocessing, size: int, data: Dataset) -> None:
    note = preprocessing_note(report.preprocessing, usual)
    warning = scale_warning(report.preprocessing, size, data.train.images.fixed_size_px)
    for line in (note, warning):
        if line:
            print(line, flush=True)


def _warn_about_seen_images(run_dir: Path, config: Config, data: Dataset) -> None:
    """Warn if the source was trained on test or validation images, which makes the results look better than they are."""
    trained = trained_on(run_dir, config.dataset)
    for name, split in (("test", data.test), ("validation", data.val)):
        seen = len(trained.intersection(split.ids))
        if seen:
            print(
                f"warning: the source was trained on {seen:,} of these {len(split):,} {name} images, so the {name}"
                " results are overestimated; use the seed (and the split) of that run",
                flush=True,
            )


def _report_leaks(config: Config, data: Dataset) -> None:
    """Print and record copies of evaluation images in the training split, and versions of one picture in several splits."""
    folder = features_cache(config.dataset)
    if folder is None and len(data.train) > HASHED_WITHOUT_CACHE:
        return  # without a cache, every photograph would have to be read at each start, which takes too long
    hashes = {split.name: image_ids(split.images, folder and folder / "ids") for split in (data.train, data.val, data.test)}
    others = {split.name: (split.ids, hashes[split.name]) for split in (data.val, data.test)}
    copies = copies_in_train(hashes["train"], others)
    data.report["copies_in_train"] = {split: {"count": len(ids), "ids": ids[:20]} for split, ids in copies.items()}
    for split, ids in copies.items():
        if ids:
            print(
                f"warning: {len(ids):,} images of the {split} split are also in the training split, e.g. {printable(ids[0])}",
                flush=True,
            )
    if config.dataset.group_pattern is None and data.report.get("drawn"):
        apart = separated_versions({split.name: split.ids for split in (data.train, data.val, data.test)})
        data.report["separated_versions"] = len(apart)
        if apart:
            print(
                f"warning: versions of {len(apart):,} pictures (such as {printable(apart[0])}) are in more than one split; to"
                f" keep them together add 'dataset.group_pattern=\"{GROUP_PATTERN}\"'",
                flush=True,
            )


def _class_weights(config: Config, data: Dataset) -> torch.Tensor | None:
    if config.train.class_weights == "none":
        return None
    return torch.as_tensor(class_weights(data.train.labels, len(data.classes)), dtype=torch.float32)
