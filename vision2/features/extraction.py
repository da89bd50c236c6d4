"""strategy=feature_extraction with features=once: the frozen part runs once an image, a new classifier learns on that.

What comes out plugs into the ordinary run: a network, a learner and batches (of features), so that epochs, resuming,
checkpoints and figures are those of any other run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vision2.config.schema import Config
from vision2.data.dataset import Dataset
from vision2.data.files.locations import cache_root
from vision2.data.settings import DatasetConfig
from vision2.features.classifiers import fit_classifier
from vision2.features.compute import FeatureMaker, training_precision
from vision2.features.cut import CutNetwork, parse_layers
from vision2.features.feature_batches import FeatureBatches
from vision2.features.feature_store import features_folder
from vision2.features.heads import Affine, empty_head, kind_of
from vision2.models.network import Network
from vision2.stats.metrics import summarise_predictions
from vision2.strategies.rules import ParameterPlan, plan_parameters
from vision2.strategies.settings import StrategyConfig
from vision2.training.learner import EpochResult, Learner
from vision2.training.predictions import predict

STEPS_AN_EPOCH = 64  # wanted on features, where a step costs next to nothing
BATCH_SIZES = (32, 256)  # the range for that


def uses_stored_features(strategy: StrategyConfig) -> bool:
    return strategy.name == "feature_extraction" and strategy.features == "once"


@dataclass
class Extraction:
    """A classifier to be learned on the features of one layer, ready for the epochs of a run."""

    learner: HeadLearner | ClassifierLearner
    train: FeatureBatches
    val: FeatureBatches
    test: FeatureBatches
    epochs: int  # 1 where the classifier is fitted and not trained
    record: dict  # layer, pooling, classifier, and with several layers the curve over them

    def best_state(self) -> tuple[dict[str, torch.Tensor], dict]:
        """State dict and record of the network as it is to be used: an affine head becomes an ordinary linear one."""
        network: CutNetwork = self.learner.evaluated
        head = network.head.folded() if isinstance(network.head, Affine) else network.head
        used = CutNetwork(network, network.layer, network.pooling, head)
        return used.state_dict(), self.full_record(head)

    def best_network(self, state: dict[str, torch.Tensor], record: dict) -> CutNetwork:
        """The network that `best_state` described."""
        network: CutNetwork = self.learner.evaluated
        head = empty_head(record["kind"], _part(state, "head.")).to(next(network.backbone.parameters()).device)
        used = CutNetwork(network, network.layer, network.pooling, head)
        used.load_state_dict(state)
        return used.eval()

    def describe(self) -> str:
        """What validation picked, for the terminal."""
        record = self.full_record()
        chosen = "".join(f", {name}={value:g}" for name, value in record.get("chosen", {}).items())
        over = f", the best of {' and '.join(row['layer'] for row in record['layers'])}" if "layers" in record else ""
        return f"classifier: {record['name']}{chosen} on {record['features']} features after {record['layer']}{over}"

    def full_record(self, head: torch.nn.Module | None = None) -> dict:
        """What a checkpoint must say so that the network can be built again, and what a reader wants to know."""
        head = self.learner.evaluated.head if head is None else head
        return {**self.record, "kind": kind_of(head), "features": head.in_features, **getattr(self.learner, "fit", {})}


class HeadLearner(Learner):
    """Trains the head on features, in one thread: its products are over before a second one has begun."""

    def train_epoch(self, batches: FeatureBatches, epoch: int, progress=None) -> EpochResult:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return super().train_epoch(batches, epoch, progress)
        finally:
            torch.set_num_threads(threads)


class ClassifierLearner:
    """Fits a classifier where a `Learner` trains for an epoch; the same to the loop that drives it."""

    def __init__(self, network: CutNetwork, config: Config, *, val: FeatureBatches, precision: str):
        self.network, self.config, self.val, self.precision = network, config, val, precision
        self.device = next(network.parameters()).device
        self.fit: dict = {}

    @property
    def evaluated(self) -> CutNetwork:
        return self.network

    @property
    def plan(self) -> list[ParameterPlan]:
        return plan_parameters(self.network, self.config.strategy)

    def train_epoch(self, batches: FeatureBatches, epoch: int, progress=None) -> EpochResult:
        """Fit on every view of every image of `batches`; validation picks the setting.

        Raises:
            UserError: for a setting the classifier cannot have.
        """
        start = time.perf_counter()
        strategy = self.config.strategy
        fitted = fit_classifier(
            strategy.classifier,
            batches.all(),
            self.val.all(),
            num_classes=self.network.num_classes,
            seed=self.config.seed,
            balanced=self.config.train.class_weights == "balanced",
            neighbours=strategy.neighbors,
        )
        self.network.head = fitted.head
        self.fit = {"chosen": fitted.chosen, "tried": fitted.tried}
        metrics = summarise_predictions(*predict(self.network, batches))
        seconds = time.perf_counter() - start
        return EpochResult(metrics["loss"], metrics["accuracy"], batches.num_samples, seconds, 0.0, {})

    def state_dict(self) -> dict:
        return {"model": self.network.state_dict(), "fit": self.fit, "kind": kind_of(self.network.head)}

    def load_state_dict(self, state: dict) -> None:
        self.network.head = empty_head(state["kind"], _part(state["model"], "head.")).to(self.device)
        self.network.load_state_dict(state["model"])
        self.fit = state["fit"]


def _part(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors below a prefix, named from there on."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def extract(
    config: Config,
    data: Dataset,
    network: Network,
    *,
    class_weights: torch.Tensor | None = None,
    saved: dict | None = None,
) -> Extraction:
    """Compute or look up the features of every split and set up the classifier on the (best) layer.

    Args:
        network: with its weights and preprocessing, on its device.
        saved: the checkpoint of a run that goes on: its layer stays.

    Raises:
        UserError: for a layer the network does not have.
    """
    if saved:  # before any feature is looked up: the weights decide which
        network.backbone.load_state_dict(_part(saved["model"], "backbone."))
    layers = [saved["classifier"]["layer"]] if saved else parse_layers(config.strategy.layer, network)
    features = split_features(config, data, network, layers)

    def on(layer: str) -> Extraction:
        return _on_layer(config, data, network, layer, features=features[layer], class_weights=class_weights)

    if saved:
        extraction = on(layers[0])
        extraction.record = {key: saved["classifier"][key] for key in extraction.record | _curve(saved["classifier"])}
        return extraction
    if len(layers) == 1:
        return on(layers[0])
    curve = [_train_on(on(layer)) for layer in layers]
    best = max(curve, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    extraction = on(best["layer"])
    extraction.record["layers"] = curve
    return extraction


def _curve(record: dict) -> dict:
    return {"layers": record["layers"]} if "layers" in record else {}


def kept_features(dataset: DatasetConfig) -> Path | None:
    """Where features are kept; None when nothing is to be kept on disk."""
    return features_folder(cache_root(dataset.cache_dir)) if dataset.cache == "disk" else None


def split_features(
    config: Config, data: Dataset, network: Network, layers: Sequence[str]
) -> dict[str, dict[str, torch.Tensor]]:
    """Features (V, N, D) by layer and split: `views` of each training image, one of the others."""
    strategy, dataset = config.strategy, config.dataset
    folder = kept_features(dataset)
    maker = FeatureMaker(
        network, config.model, layers=layers, pooling=strategy.pooling, folder=folder, workers=dataset.workers
    )
    start = time.perf_counter()
    precision = training_precision(config.train.precision, maker.device, network.preprocessing.image_size_px)
    made = {
        "train": maker.features(data.train, precision=precision, augment=dataset.augment, views=strategy.views),
        "val": maker.features(data.val, precision="float32"),
        "test": maker.features(data.test, precision="float32"),
    }
    seconds = time.perf_counter() - start
    total = sum(len(split) for split in (data.train, data.val, data.test)) + len(data.train) * (strategy.views - 1)
    rate = f" at {maker.images_computed / seconds:.0f} img/s" if maker.images_computed else ""
    known = "" if maker.images_computed == total else ", the others looked up"
    print(
        f"features after {', '.join(layers)}: {maker.images_computed} of {total} computed{rate}{known}; {seconds:.1f} s",
        flush=True,
    )
    return {layer: {split: by_layer[layer] for split, by_layer in made.items()} for layer in layers}


def _on_layer(
    config: Config,
    data: Dataset,
    network: Network,
    layer: str,
    *,
    features: dict[str, torch.Tensor],
    class_weights: torch.Tensor | None,
) -> Extraction:
    device = next(network.parameters()).device
    shared = {"batch_size": _batch_size(config, len(data.train)), "device": device, "seed": config.seed}
    train = FeatureBatches(features["train"], data.train.labels, shuffle=True, sampler=config.train.sampler, **shared)
    val, test = (FeatureBatches(features[s.name], s.labels, **shared) for s in (data.val, data.test))
    head = Affine(features["train"].shape[-1], len(data.classes))
    head.standardise_by(train.all().features.cpu())
    cut = CutNetwork(network, layer, config.strategy.pooling, head.to(device))
    record = {"name": config.strategy.classifier, "layer": layer, "pooling": config.strategy.pooling}
    if config.strategy.classifier != "linear":
        learner = ClassifierLearner(cut, config, val=val, precision="float32")
        return Extraction(learner, train, val, test, 1, record)
    learner = HeadLearner(
        cut, config.strategy, config.train, precision="float32", seed=config.seed, class_weights=class_weights
    )
    return Extraction(learner, train, val, test, config.train.epochs, record)


def _batch_size(config: Config, images: int) -> int:
    """Asked for, or what gives a good number of steps."""
    least, most = BATCH_SIZES
    return config.train.batch_size or max(least, min(most, images // STEPS_AN_EPOCH))


def _train_on(extraction: Extraction) -> dict:
    """Best validation accuracy over the epochs: one point of the curve. The test split is for the layer chosen alone."""
    best: dict = {}
    for epoch in range(1, extraction.epochs + 1):
        extraction.learner.train_epoch(extraction.train, epoch)
        val = summarise_predictions(*predict(extraction.learner.evaluated, extraction.val))
        if not best or (val["accuracy"], -val["loss"]) > (best["val_accuracy"], -best["val_loss"]):
            best = {
                "layer": extraction.record["layer"],
                "features": extraction.train.features.shape[-1],
                "val_accuracy": val["accuracy"],
                "val_loss": val["loss"],
                "val_accuracy_low": val["accuracy_low"],
                "val_accuracy_high": val["accuracy_high"],
            }
    return best
