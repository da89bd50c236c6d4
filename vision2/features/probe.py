"""A new classifier on stored features: trained in epochs (linear), or fitted to all features at once (the others)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch

from vision2.features.classifiers import Fitted, Labelled, fit_classifier
from vision2.features.compute import restore_backbone, split_features
from vision2.features.costs import remembered_costs
from vision2.features.feature_batches import FeatureBatches
from vision2.models.cut import parse_layers, with_saved_head
from vision2.models.heads import LINEAR, StandardizedLinear, kind_of
from vision2.models.network import Network
from vision2.training.checkpoint import restoring
from vision2.training.epochs import EpochFit, in_use
from vision2.training.fit import FitResult, Progress, Task, Totals, describe_classifier
from vision2.training.learner import Learner
from vision2.training.measure import Measured, on_images
from vision2.training.parameter_plan import ParameterPlan, Rule, plan_parameters
from vision2.training.recorder import Recorder

FitHead = Callable[[Labelled, Labelled], Fitted]  # from the features of the training and validation images
STEPS_PER_EPOCH = 64  # target when choosing the batch size; on features, a step costs next to nothing
BATCH_SIZES = (32, 256)  # smallest and largest batch size chosen


def fit_on_features(task: Task, rules: Sequence[Rule], fit_head: FitHead | None = None) -> EpochFit | ClassifierFit | None:
    """Compute or look up the features of every split and set up the classifier on the chosen layer.

    With several layers, a classifier is fitted on each and validation selects one; the test split is used for that one only.
    Several processes share the pass over the images, and only the first one goes on: for the others, None is returned.

    Args:
        fit_head: fits a classifier of the strategy's own; None for `strategy.classifier`.

    Raises:
        UserError: for a layer that the network does not have.
    """
    saved = task.saved
    if saved:  # before any feature is looked up, because the lookup depends on the weights
        restore_backbone(task)
        with restoring():
            layers = [saved["classifier"]["layer"]]
    else:
        layers = parse_layers(task.strategy.layer, task.network)
    features = split_features(task, layers)
    if task.ranks.rank:
        return None

    def on(layer: str) -> EpochFit | ClassifierFit:
        return _on_layer(task, rules, layer, features[layer], fit_head)

    if saved:
        fit, curve = on(layers[0]), saved["classifier"].get("layers")
    elif len(layers) == 1:
        fit, curve = on(layers[0]), None
    else:
        curve = [_trial(on(layer)) for layer in layers]
        fit = on(max(curve, key=lambda row: (row["val_accuracy"], -row["val_loss"]))["layer"])
    if curve:
        fit.record["layers"] = curve
    return fit


def _on_layer(
    task: Task, rules: Sequence[Rule], layer: str, features: dict[str, torch.Tensor], fit_head: FitHead | None
) -> EpochFit | ClassifierFit:
    """Set up the classifier on the `features` (V, N, D) of each split after `layer`."""
    least, most = BATCH_SIZES
    size = task.train.batch_size or max(least, min(most, len(task.data.train) // STEPS_PER_EPOCH))
    shared = {"batch_size": size, "device": task.device, "seed": task.seed}
    batches = {
        part.name: FeatureBatches(features[part.name], part.labels, **shared) for part in (task.data.val, task.data.test)
    }
    batches["train"] = train = FeatureBatches(
        features["train"], task.data.train.labels, shuffle=True, sampler=task.train.sampler, **shared
    )
    head = StandardizedLinear(features["train"].shape[-1], len(task.data.classes))
    head.standardise_by(train.all().features.cpu())
    network = task.network.cut_at(layer, task.strategy.pooling, head.to(task.device))
    record = {
        "name": task.strategy.name if fit_head else task.strategy.classifier,
        "layer": layer,
        "pooling": task.strategy.pooling,
    }
    record |= {"kind": LINEAR, "features": head.in_features}

    def costs() -> Totals:
        return remembered_costs(network, task.model, task.dataset)

    if fit_head or task.strategy.classifier != "linear":
        return ClassifierFit(task, network, rules, batches, costs, record, fit_head or _configured_classifier(task))
    learner = Learner(
        network,
        plan_parameters(network, rules, task.strategy),
        task.strategy,
        task.train,
        precision="float32",
        seed=task.seed,
        class_weights=task.class_weights,
        forward=network.classify,
    )
    return EpochFit(learner, task, batches, costs, forward=lambda trained: trained.classify, record=record, threads=_one_thread)


def _configured_classifier(task: Task) -> FitHead:
    def fit_head(train: Labelled, val: Labelled) -> Fitted:
        return fit_classifier(
            task.strategy.classifier,
            train,
            val,
            num_classes=len(task.data.classes),
            seed=task.seed,
            balanced=task.train.class_weights == "balanced",
            neighbours=task.strategy.neighbors,
            fixed=task.strategy.selection == "fixed",
        )

    return fit_head


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: the small products of a head finish before a second one has started."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _trial(fit: EpochFit | ClassifierFit) -> dict:
    """The best validation result on one layer: one point of the curve over layers."""
    best = max(fit.trial(), key=lambda found: (found["accuracy"], -found["loss"]))
    figures = {f"val_{key}": best[key] for key in ("accuracy", "loss", "accuracy_low", "accuracy_high")}
    return {"layer": fit.record["layer"], "features": fit.record["features"], **figures}


@dataclass
class ClassifierFit:
    """A classifier that is fitted to all features at once."""

    task: Task
    network: Network  # cut at the layer; `run` fits its head
    rules: Sequence[Rule]
    batches: dict[str, FeatureBatches]
    costs: Callable[[], Totals]
    record: dict
    fit_head: FitHead
    precision: str = field(default="float32", init=False)
    epochs: int = field(default=0, init=False)

    @property
    def plan(self) -> list[ParameterPlan]:
        return plan_parameters(self.network, self.rules, self.task.strategy)

    @property
    def batch_size(self) -> int:
        return self.batches["train"].batch_size

    def classifier(self) -> dict:
        return self.record

    def known_features(self) -> torch.Tensor:
        return self.batches["val"].features[0]

    def run(self, recorder: Recorder) -> FitResult:
        """Fit the classifier, or restore it from the checkpoint, and evaluate it on the training images."""
        start, saved = time.perf_counter(), self.task.saved
        if saved:
            with restoring():
                self.network = with_saved_head(self.task.network, saved["classifier"], saved["model"]).to(self.task.device)
                self.network.load_state_dict(saved["model"])
            self.record, progress = saved["classifier"], Progress(**saved["state"])
        else:
            self._fit()
            progress = Progress(images=self.batches["train"].num_samples)
        recorder.bars.say(describe_classifier(self.record))
        seconds = recorder.prepared_seconds + time.perf_counter() - start
        progress = replace(progress, seconds=progress.seconds + seconds)
        state = {"model": self.network.state_dict(), "classifier": self.record}
        recorder.save(progress, best=state, last=state)
        train = self._measure("train").metrics
        return FitResult(self.network.eval(), self._measure, progress, {"accuracy": train["accuracy"], "loss": train["loss"]})

    def trial(self) -> Iterator[dict]:
        """Validation metrics of the fitted classifier."""
        self._fit()
        yield self._measure("val").metrics

    def _fit(self) -> None:
        fitted = self.fit_head(self.batches["train"].all(), self.batches["val"].all())
        self.network = in_use(self.network.cut_at(self.network.layer, self.network.pooling, fitted.head))
        self.record |= {"kind": kind_of(self.network.head), "chosen": fitted.chosen, "tried": fitted.tried}

    def _measure(self, split: str) -> Measured:
        measure = self.task.measures.get(split, on_images)
        return measure(self.network, self.batches[split], forward=self.network.classify)
