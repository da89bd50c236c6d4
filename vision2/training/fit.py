"""The interface between a run and its strategy: what a strategy receives and what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from vision2.data.batches import Batches
from vision2.data.dataset import Dataset
from vision2.data.settings import DatasetConfig
from vision2.models.network import Network
from vision2.models.settings import ModelConfig
from vision2.strategies.settings import StrategyConfig
from vision2.training.measure import Measure, Measured, on_images
from vision2.training.parameter_plan import ParameterPlan
from vision2.training.ranks import ONE_RANK, Ranks
from vision2.training.settings import TrainConfig

if TYPE_CHECKING:
    from vision2.training.recorder import Recorder


@dataclass(frozen=True)
class Task:
    """Input of a strategy: settings, data, a network with its initial weights, and batches of images by split."""

    model: ModelConfig
    dataset: DatasetConfig
    strategy: StrategyConfig
    train: TrainConfig
    seed: int
    data: Dataset
    network: Network  # on its device
    images: dict[str, Batches]
    class_weights: torch.Tensor | None = None
    saved: dict | None = None  # the checkpoint to resume from
    measures: dict[str, Measure] = field(default_factory=lambda: {"val": on_images, "test": on_images})  # by split
    ranks: Ranks = ONE_RANK  # the processes that share the work

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device


class Totals(NamedTuple):
    """Cost of the final network: parameters, and multiply-adds per image."""

    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Progress:
    """The progress of a run, saved in its checkpoint."""

    epoch: int = 0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    seconds: float = 0.0  # preparation (decoding, features) and epochs, over all sessions of a resumed run
    images: int = 0

    def after(self, entry: dict) -> Progress:
        """The progress after one more epoch; the best one has the highest validation accuracy and, if tied, the lowest loss."""
        seconds, images = self.seconds + entry["seconds"], self.images + entry["train_images"]
        progress = replace(self, epoch=entry["epoch"], seconds=seconds, images=images)
        accuracy, loss = entry["val_accuracy"], entry["val_loss"]
        if (accuracy, -loss) > (self.best_accuracy, -self.best_loss):
            progress = replace(progress, best_epoch=entry["epoch"], best_accuracy=accuracy, best_loss=loss)
        return progress

    def finished(self, epochs: int, patience: int | None, last_phase: int = 1) -> bool:
        """Whether all epochs are done, or the last `patience` ones, counted from `last_phase`, brought no improvement."""
        if self.epoch >= epochs:
            return True
        return patience is not None and self.epoch - max(self.best_epoch, last_phase - 1) >= patience


@dataclass(frozen=True)
class FitResult:
    """The trained network, the best one by validation; `measure` takes the name of a split."""

    network: Network
    measure: Callable[[str], Measured]
    progress: Progress
    train: dict | None  # {"accuracy", "loss", "epoch"} on the training images; None when nothing was trained
    images_per_second: float | None = None  # None unless images passed through the network in epochs


class Fit(Protocol):
    """A fit that is ready to run, with what the run prints and records about it."""

    network: Network
    plan: list[ParameterPlan]
    precision: str
    batch_size: int
    epochs: int  # 0 for a classifier that is fitted at once

    def run(self, recorder: Recorder) -> FitResult:
        """Train, or resume from a checkpoint."""

    def classifier(self) -> dict | None:
        """The description of a classifier on features; None for the head of a whole network."""

    def costs(self) -> Totals:
        """Parameters and multiply-adds of the final network."""

    def known_features(self) -> torch.Tensor | None:
        """Features (N, D) of the validation split if they were computed before, else None."""


def describe_classifier(record: dict) -> str:
    """One line for the terminal: the classifier, its selected settings and the features it uses."""
    chosen = "".join(f", {name}={value:g}" for name, value in record.get("chosen", {}).items())
    layers = " and ".join(row["layer"] for row in record.get("layers", ()))
    best = f", the best of {layers}" if layers else ""
    return f"classifier: {record['name']}{chosen} on {record['features']} features after {record['layer']}{best}"
