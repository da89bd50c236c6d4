"""One run from configuration to summary, read top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vision2.config.schema import Config
from vision2.features.costs import Totals, remembered_costs
from vision2.features.cut import CutNetwork
from vision2.features.extraction import kept_features
from vision2.features.heads import is_differentiable
from vision2.models.network import Network
from vision2.pictures.artifacts import write_artifacts
from vision2.pictures.dashboard import log_embedding, log_results
from vision2.preparation import Job, check_going_on, prepare
from vision2.runs.environment import environment
from vision2.runs.identity import config_hash
from vision2.runs.records import RunRecord
from vision2.runs.tensorboard import TensorBoardTracker
from vision2.stats.metrics import summarise_predictions
from vision2.strategies.rules import format_map, trainable_map
from vision2.strategies.transfer_source import describe_lineage
from vision2.training.checkpoint import load_checkpoint, save_checkpoint
from vision2.training.precision import peak_memory_mb
from vision2.training.predictions import Predictions, predict
from vision2.training.progress import Progress

if TYPE_CHECKING:
    from vision2.profiling.count import Costs


def run(config: Config, claim: Callable[[], Path], command: str) -> dict:
    """Train (or go on with) one run and evaluate its best epoch; returns the summary.

    Nothing is written before data and weights are at hand: `claim` makes (or names) the run folder only then.

    Raises:
        UserError: for what the user can mend (absent data or weights, a diverged loss).
    """
    start = time.perf_counter()
    saved = load_checkpoint(Path(config.resume) / "last.pt") if config.resume else None
    job = prepare(config, saved)
    if saved:
        check_going_on(job, Path(config.resume), done=saved["state"]["epoch"])
    record = RunRecord(claim())
    state = _restore(job, saved, record) if saved else State()
    state = replace(state, seconds=state.seconds + time.perf_counter() - start)
    tracker = TensorBoardTracker(record.run_dir, resume_step=state.epoch if saved else None)
    _introduce(job, record, tracker, config, fresh=saved is None)
    progress = Progress(job.epochs, done=state.epoch)
    try:
        while not state.finished(job.epochs, config.train.patience):
            entry, gradient_norms = _one_epoch(job, state.epoch + 1, progress)
            state = state.after(entry)
            record.log_epoch(entry)
            tracker.log_epoch(entry, gradient_norms)
            _save(job, state, record.run_dir, config)
            progress.finish_epoch(entry)
        if job.extraction:
            print(job.extraction.describe(), flush=True)
        return _finish(job, state, record, tracker, config, command)
    finally:
        progress.close()
        tracker.close()


@dataclass(frozen=True)
class State:
    """How far a run has come; all of it is in the checkpoint."""

    epoch: int = 0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    seconds: float = 0.0  # preparation (decoding, features) and epochs, over all that went on
    images: int = 0

    def after(self, entry: dict) -> State:
        """The next state; the best epoch has the highest validation accuracy, and among equals the lowest loss."""
        seconds, images = self.seconds + entry["seconds"], self.images + entry["train_images"]
        state = replace(self, epoch=entry["epoch"], seconds=seconds, images=images)
        accuracy, loss = entry["val_accuracy"], entry["val_loss"]
        if (accuracy, -loss) > (self.best_accuracy, -self.best_loss):
            state = replace(state, best_epoch=entry["epoch"], best_accuracy=accuracy, best_loss=loss)
        return state

    def finished(self, epochs: int, patience: int | None) -> bool:
        return self.epoch >= epochs or (patience is not None and self.epoch - self.best_epoch >= patience)


def _restore(job: Job, saved: dict, record: RunRecord) -> State:
    job.learner.load_state_dict(saved)
    state = State(**saved["state"])
    record.resume_after(state.epoch)
    return state


def _introduce(job: Job, record: RunRecord, tracker: TensorBoardTracker, config: Config, *, fresh: bool) -> None:
    """Say and record what will be trained on what, before the first step."""
    rows = trainable_map(job.learner.network, job.learner.plan, config.strategy)
    sizes = {split.name: len(split.labels) for split in (job.data.train, job.data.val, job.data.test)}
    print(f"{job.network.name} on {job.data.name}: {len(job.data.classes)} classes, {sizes}", flush=True)
    if job.weights is not None:
        print(job.weights.describe())
    if job.origin["lineage"]:
        print(describe_lineage(job.origin["lineage"]))
    print(format_map(rows))
    late = [row["stage"] for row in rows if (row["from_epoch"] or 1) > job.epochs > 0]
    if late:
        print(f"warning: {', '.join(late)} would learn only after epoch {job.epochs}, the last one: that is never")
    device = job.learner.device
    print(
        f"{device}, {job.precision}, batch {job.batch_size}, {job.preprocessing.image_size_px} px -> {record.run_dir}",
        flush=True,
    )
    if not fresh:
        return
    record.write_config(asdict(config))
    record.write_split(job.data.split_record())
    tracker.log_text("configuration", asdict(config))
    batch = next(iter(job.images["train"].epoch(1)))
    tracker.log_images("samples/train", batch.images, job.preprocessing)


def _one_epoch(job: Job, epoch: int, progress: Progress) -> tuple[dict, dict[str, list[float]]]:
    """Train and validate once; the record that goes to metrics.jsonl and TensorBoard, and each parameter's gradient norm."""
    start = time.perf_counter()
    progress.start(job.train.num_samples, f"epoch {epoch} train")
    result = job.learner.train_epoch(job.train, epoch, progress)
    progress.start(job.val.num_samples, f"epoch {epoch} val")
    val = summarise_predictions(*predict(job.learner.evaluated, job.val, progress.advance))
    entry = {
        "epoch": epoch,
        "train_loss": result.loss,
        "train_accuracy": result.accuracy,
        "val_loss": val["loss"],
        "val_accuracy": val["accuracy"],
        "val_balanced_accuracy": val["balanced_accuracy"],
        "val_macro_f1": val["macro_f1"],
        "lr": result.lr,
        "images_per_second": result.images / result.seconds,
        "data_wait_share": job.train.wait_seconds / result.seconds,
        "gradient_norms": _by_stage(result.gradient_norms),
        "train_images": result.images,
        "train_seconds": result.seconds,
        "seconds": time.perf_counter() - start,
    }
    return entry, result.gradient_norms


def _by_stage(norms: dict[str, list[float]]) -> dict[str, float]:
    """Norm of the whole gradient of each stage; a stage whose gradient overflowed is left out."""
    whole = {stage: math.hypot(*of_parameters) for stage, of_parameters in norms.items()}
    return {stage: norm for stage, norm in whole.items() if math.isfinite(norm)}


def checkpoint_content(job: Job, config: Config) -> dict:
    """What every checkpoint holds besides the state of its learner: enough to predict without the configuration tree."""
    return {
        "classes": list(job.data.classes),
        "preprocessing": job.preprocessing.to_dict(),
        "model_config": asdict(config.model),
        "config": asdict(config),
        "precision": job.precision,
        "classifier": job.extraction.full_record() if job.extraction else None,
    }


def _save(job: Job, state: State, run_dir: Path, config: Config) -> None:
    """`best.pt` first: a kill between the two repeats the epoch and writes the same best again."""
    content = checkpoint_content(job, config)
    content |= {"state": asdict(state), **job.origin}
    if state.best_epoch == state.epoch:
        best = {"model": job.learner.evaluated.state_dict()}
        if job.extraction:
            best["model"], best["classifier"] = job.extraction.best_state()
        save_checkpoint(run_dir / "best.pt", {**content, **best})
    save_checkpoint(run_dir / "last.pt", {**content, **job.learner.state_dict()})


def _finish(
    job: Job, state: State, record: RunRecord, tracker: TensorBoardTracker, config: Config, command: str
) -> dict:
    """Evaluate the best epoch on validation and, once, on test; write the summary."""
    start = time.perf_counter()
    network = _best_network(job, record) if state.epoch else job.learner.evaluated
    predictions = {"val": predict(network, job.val), "test": predict(network, job.test)}
    metrics = {name: summarise_predictions(*found) for name, found in predictions.items()}
    history = record.history()
    if history:
        last = history[-1]
        metrics["train"] = {"accuracy": last["train_accuracy"], "loss": last["train_loss"], "epoch": last["epoch"]}
    _picture(job, network, record, tracker, metrics, predictions["test"])
    costs = _costs(job, config)
    summary = {
        "status": "completed",
        "error": None,
        "classes": list(job.data.classes),
        "metrics": metrics,
        "best_epoch": state.best_epoch,
        "epochs_done": state.epoch,
        "seconds": state.seconds + time.perf_counter() - start,
        "images_per_second": state.images / max(sum(entry["train_seconds"] for entry in history), 1e-9)
        if history
        else None,
        "peak_memory_mb": peak_memory_mb(job.learner.device),
        "parameters": costs.parameters,
        "multiply_adds": costs.multiply_adds,
        "trainable_map": trainable_map(job.learner.network, job.learner.plan, config.strategy),
        "classifier": job.extraction.full_record() if job.extraction else None,
        **job.origin,
        "device": str(job.learner.device),
        "precision": job.precision,
        "batch_size": job.batch_size,
        "data": job.data.report,
        "config": asdict(config),
        "config_hash": config_hash(asdict(config)),
        **environment(),
        "command": command,
    }
    tracker.log_hparams(asdict(config), metrics)
    record.write_summary(summary)
    return summary


def _costs(job: Job, config: Config) -> Costs | Totals:
    size = job.preprocessing.image_size_px
    if job.extraction:
        cut = job.extraction.learner.evaluated
        return remembered_costs(job.network, cut, config.model, size, kept_features(config.dataset))
    from vision2.profiling.count import count_costs  # loads what a run on known features does without

    return count_costs(job.network, size)


def _best_network(job: Job, record: RunRecord) -> Network | CutNetwork:
    """The network of the best epoch, as the checkpoint holds it."""
    best = load_checkpoint(record.run_dir / "best.pt")
    if job.extraction:
        return job.extraction.best_network(best["model"], best["classifier"])
    job.learner.evaluated.load_state_dict(best["model"])
    return job.learner.evaluated


def _picture(
    job: Job,
    network: Network | CutNetwork,
    record: RunRecord,
    tracker: TensorBoardTracker,
    metrics: dict,
    test: Predictions,
) -> None:
    """What reports and TensorBoard show: predictions, mistakes, attribution maps, filters, features."""
    classes = job.data.classes
    pictures = write_artifacts(
        record.run_dir,
        network=network if is_differentiable(network.head) else None,
        batches=job.images["test"],
        classes=classes,
        probabilities=test.probabilities,
        labels=test.labels,
        ids=job.data.test.ids,
        preprocessing=job.preprocessing,
    )
    log_results(tracker, pictures, probabilities=test.probabilities, labels=test.labels, classes=classes)
    known = job.extraction.val.features[0] if job.extraction else None
    log_embedding(tracker, network, job.images["val"], classes, job.preprocessing, known=known)
    if metrics["test"]["confusion"] is not None:
        tracker.log_confusion("confusion/test", metrics["test"]["confusion"], classes)
