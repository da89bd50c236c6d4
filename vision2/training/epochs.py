"""Training in epochs, on images or on stored features; the epoch with the best validation result is used."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace

import torch

from vision2.basics.remembered import remembered
from vision2.data.files.locations import remembered_folder
from vision2.models.cut import with_saved_head
from vision2.models.heads import StandardizedLinear, kind_of
from vision2.models.network import Network, Output
from vision2.training.fit import FitResult, Progress, Task, Totals, describe_classifier
from vision2.training.folding import foldable_pairs
from vision2.training.learner import Learner
from vision2.training.measure import Measured
from vision2.training.parameter_plan import ParameterPlan, Rule, plan_parameters
from vision2.training.precision import choose_precision
from vision2.training.progress import ProgressBars
from vision2.training.ranks import ONE_RANK, Ranks
from vision2.training.recorder import Recorder

Forward = Callable[[Network], Callable[[torch.Tensor], Output]]


def fit_on_images(task: Task, rules: Sequence[Rule], *, stored: dict | None = None, forward: Forward | None = None) -> EpochFit:
    """Set up training on batches of images or, with `forward`, on `stored` batches of what frozen stages return for them."""
    network, size = task.network, task.network.preprocessing.image_size_px
    saved = task.saved["precision"] if task.saved else None
    memory = remembered_folder(task.dataset.cache_dir)
    plan = plan_parameters(network, rules, task.strategy)

    def precision() -> str:
        return choose_precision(task.train.precision, network, task.device, size, memory=memory)

    frozen = task.strategy.batchnorm == "frozen" or not all(entry.learns_at(1) for entry in plan)
    learner = Learner(
        network,
        plan,
        task.strategy,
        task.train,
        precision=saved or task.ranks.from_first(precision),
        seed=task.seed,
        aux_weight=task.model.aux_weight,
        class_weights=task.class_weights,
        forward=forward and forward(network),
        foldable=foldable_pairs(network, size) if frozen else (),
        ranks=task.ranks,
    )
    return EpochFit(learner, task, stored or task.images, costs_of(task), forward, ranks=task.ranks)


def costs_of(task: Task) -> Callable[[], Totals]:
    """Counts the costs of the task's network when called, or looks them up."""
    network, size = task.network, task.network.preprocessing.image_size_px

    def counted() -> Totals:
        from vision2.profiling.count import count_totals

        return Totals(*count_totals(network, size))

    def costs() -> Totals:
        facts = ["costs", asdict(task.model), kind_of(network.head), network.num_classes, size, torch.__version__]
        return Totals(*remembered(remembered_folder(task.dataset.cache_dir), facts, counted))

    return costs


@dataclass
class EpochFit:
    """A learner and the batches it is trained and evaluated on.

    With `forward`, batches hold stored features or activations. `threads` limits the threads used in training.
    """

    learner: Learner
    task: Task
    batches: dict
    costs: Callable[[], Totals]
    forward: Forward | None = None  # the pass of a network from what batches hold; None: from images
    record: dict | None = None  # describes the classifier when the network is cut
    threads: Callable[[], AbstractContextManager] = nullcontext
    ranks: Ranks = ONE_RANK  # the processes that share each pass

    @property
    def network(self) -> Network:
        return self.learner.network

    @property
    def plan(self) -> list[ParameterPlan]:
        return self.learner.plan

    @property
    def precision(self) -> str:
        return self.learner.precision

    @property
    def batch_size(self) -> int:
        return self.batches["train"].batch_size

    @property
    def epochs(self) -> int:
        return self.task.train.epochs

    def classifier(self) -> dict | None:
        return self.record

    def known_features(self) -> torch.Tensor | None:
        return self.batches["val"].features[0] if self.forward and self.record else None

    def run(self, recorder: Recorder) -> FitResult:
        """Train to the last epoch or until early stopping (`train.patience`), saving a checkpoint after every epoch."""
        progress = Progress()
        if self.task.saved:
            self.learner.load_state_dict(self.task.saved)
            progress = Progress(**self.task.saved["state"])
            recorder.resume_after(progress.epoch)
        progress = replace(progress, seconds=progress.seconds + recorder.prepared_seconds)
        patience, unfrozen = self.task.train.patience, self._last_phase()
        if self.task.saved and progress.finished(progress.epoch + 1, patience, unfrozen):
            recorder.bars.say(
                f"early stopping ended this run after epoch {progress.epoch}: validation accuracy did not improve for"
                f" {patience} epochs; to continue training, resume with a larger train.patience"
            )
        while not progress.finished(self.epochs, patience, unfrozen):
            entry, gradient_norms = self._epoch(progress.epoch + 1, recorder.bars)
            progress = progress.after(entry)
            recorder.epoch(entry, gradient_norms)
            recorder.save(progress, best=self._best(progress), last=self._last())
            recorder.bars.finish_epoch(entry)
        return self._result(recorder, progress)

    @property
    def _rate(self) -> str:
        """The key of the throughput: stored features are much faster than images, and must not be compared with them."""
        return "features_per_second" if self.forward else "images_per_second"

    def _last_phase(self) -> int:
        """The epoch in which the last parameters start training; early stopping waits until then."""
        return max((entry.learns_from for entry in self.plan if entry.learns_from is not None), default=1)

    def _epoch(self, epoch: int, bars: ProgressBars) -> tuple[dict, dict[str, list[float]]]:
        """Train and validate once; return the record of the epoch and, by stage, the gradient norm of each parameter."""
        start, train, val = time.perf_counter(), self.batches["train"], self.batches["val"]
        bars.start(train.num_samples, f"epoch {epoch} train")
        with self.threads():
            result = self.learner.train_epoch(train, epoch, bars)
        bars.start(val.num_samples, f"epoch {epoch} val")
        found = self._measure(self.learner.evaluated, "val", bars.advance).metrics
        entry = {
            "epoch": epoch,
            "train_loss": result.loss,
            "train_objective": result.objective,
            "train_accuracy": result.accuracy,
            "val_loss": found["loss"],
            "val_accuracy": found["accuracy"],
            "val_balanced_accuracy": found.get("balanced_accuracy"),
            "val_macro_f1": found.get("macro_f1"),
            "lr": result.lr,
            self._rate: result.images / result.seconds,
            "data_wait_share": train.wait_seconds / result.seconds,
            "gradient_norms": _by_stage(result.gradient_norms),
            "train_images": result.images,
            "train_seconds": result.seconds,
            "seconds": time.perf_counter() - start,
        }
        return entry, result.gradient_norms

    def trial(self) -> Iterator[dict]:
        """Train and yield the validation metrics after each epoch, without recording anything."""
        for epoch in range(1, self.epochs + 1):
            with self.threads():
                self.learner.train_epoch(self.batches["train"], epoch)
            yield self.validate()

    def validate(self) -> dict:
        """Metrics of the current network on the validation split."""
        return self._measure(self.learner.evaluated, "val").metrics

    def _measure(self, network: Network, split: str, advance: Callable | None = None) -> Measured:
        forward = self.forward and self.forward(network)
        return self.task.measures[split](network, self.batches[split], advance, forward=forward, ranks=self.ranks)

    def _best(self, progress: Progress) -> dict | None:
        """The checkpoint for inference if the last epoch is the best so far, else None."""
        if progress.best_epoch != progress.epoch:
            return None
        return {"model": in_use(self.learner.evaluated).state_dict(), "classifier": self.record}

    def _last(self) -> dict:
        """The checkpoint to resume from, whose head still standardises its input."""
        record = self.record and self.record | {"kind": kind_of(self.network.head)}
        return {**self.learner.state_dict(), "classifier": record}

    def _result(self, recorder: Recorder, progress: Progress) -> FitResult:
        history, network = recorder.history(), self.learner.evaluated
        if progress.epoch:
            self.ranks.wait()  # until the best checkpoint is written
            best = recorder.best()
            network = with_saved_head(self.task.network, best["classifier"], best["model"]).to(self.task.device)
            network.load_state_dict(best["model"])
        if self.record:
            recorder.bars.say(describe_classifier(self.record))
        last = history[-1] if history else None
        seconds = sum(entry["train_seconds"] for entry in history)
        return FitResult(
            network.eval(),
            lambda split: self._measure(network, split),
            progress,
            last and {"accuracy": last["train_accuracy"], "loss": last["train_loss"], "epoch": last["epoch"]},
            progress.images / seconds if seconds and not self.forward else None,
        )


def in_use(network: Network) -> Network:
    """The network for inference, in which a head that standardises its input is replaced by an equivalent linear layer."""
    if not isinstance(network.head, StandardizedLinear):
        return network
    return network.cut_at(network.layer, network.pooling, network.head.folded())


def _by_stage(norms: dict[str, list[float]]) -> dict[str, float]:
    """Norm of the whole gradient of each stage; stages whose gradient overflowed are omitted."""
    whole = {stage: math.hypot(*of_parameters) for stage, of_parameters in norms.items()}
    return {stage: norm for stage, norm in whole.items() if math.isfinite(norm)}
