"""One run from configuration to summary, in order from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path

from vision2.basics.safe_text import printable
from vision2.config.schema import Config
from vision2.data.augment.text import describe_augment, flip_question
from vision2.models.heads import is_differentiable
from vision2.pictures.artifacts import write_artifacts
from vision2.pictures.dashboard import log_embedding, log_results
from vision2.pictures.images import as_pictures
from vision2.preparation import Prepared, check_resumable, prepare
from vision2.runs.environment import environment
from vision2.runs.identity import identity_of
from vision2.runs.records import RunRecord
from vision2.runs.sittings import sittings_of
from vision2.runs.status import begin
from vision2.runs.tensorboard import TensorBoardTracker
from vision2.runs.transfer_source import describe_lineage
from vision2.stats.metrics import summarise_predictions
from vision2.stats.zero_shot_scores import zero_shot_scores
from vision2.strategies import STRATEGIES
from vision2.training.checkpoint import load_last
from vision2.training.fit import Fit, FitResult
from vision2.training.parameter_plan import format_map, trainable_map
from vision2.training.predictions import Predictions
from vision2.training.process_memory import peak_memory_mb, reset_peak_memory
from vision2.training.progress import ProgressBars
from vision2.training.recorder import Recorder
from vision2.training.schedule import rise_on_resume
from vision2.training.settings import TrainConfig

SAMPLES_SHOWN = 16


def run(config: Config, create_run_dir: Callable[[], Path], command: str) -> dict:
    """Train (or resume) one run and evaluate its best state; return the summary.

    Nothing is written before data and weights are available: `create_run_dir` is called only then.

    Raises:
        UserError: for problems that the user can solve (missing data or weights, a diverged loss).
    """
    start = time.perf_counter()
    reset_peak_memory()
    saved = load_last(config.resume)
    prepared = prepare(config, saved)
    fit = STRATEGIES[config.strategy.name].start(prepared.task)
    if saved:
        check_resumable(prepared.task, Path(config.resume), fit.epochs)
    record = RunRecord(create_run_dir())
    begin(record, asdict(config), command, resumed=saved is not None)
    tracker = TensorBoardTracker(record.run_dir, resume_step=saved["state"]["epoch"] if saved else None)
    bars = ProgressBars(fit.epochs, done=saved["state"]["epoch"] if saved else 0)
    try:
        _introduce(prepared, fit, record)
        sittings = sittings_of(config, saved)
        if saved:
            _warn_about_resuming(config, saved)
        else:
            _record_start(prepared, record, tracker, config)
        shared = _shared_by_checkpoints(prepared, fit, config) | {"sittings": sittings}
        recorder = Recorder(record, tracker, bars, shared, prepared_seconds=time.perf_counter() - start)
        result = fit.run(recorder)
        return _finish(prepared, fit, result, recorder, config, command=command)
    finally:
        bars.close()
        tracker.close()


def _introduce(prepared: Prepared, fit: Fit, record: RunRecord) -> None:
    """Print the network, the data and how they will be trained, before the first step."""
    task, data = prepared.task, prepared.task.data
    sizes = {split.name: len(split.labels) for split in (data.train, data.val, data.test)}
    print(f"{task.network.name} on {data.name}: {len(data.classes)} classes, {sizes}", flush=True)
    if STRATEGIES[task.strategy.name].TRAINS_BACKBONE or task.strategy.views > 1:
        print(f"augment: {describe_augment(task.dataset.augment)}")
        if question := flip_question(task.dataset.augment, data.classes):
            print(f"warning: {question}")
    if prepared.weights is not None:
        print(prepared.weights.describe())
    if prepared.origin["lineage"]:
        print(printable(describe_lineage(prepared.origin["lineage"])))
    rows = trainable_map(fit.network, fit.plan, task.strategy)
    print(format_map(rows))
    late = [row["stage"] for row in rows if (row["from_epoch"] or 1) > fit.epochs > 0]
    if late:
        print(f"warning: {', '.join(late)} would unfreeze only after training ends (epoch {fit.epochs})")
    size = task.network.preprocessing.image_size_px
    print(f"{task.device}, {fit.precision}, batch {fit.batch_size}, {size} px -> {record.run_dir}", flush=True)


def _record_start(prepared: Prepared, record: RunRecord, tracker: TensorBoardTracker, config: Config) -> None:
    """Write the split to the run folder, and the configuration and the first batch to TensorBoard."""
    record.write_split(prepared.task.data.split_record())
    tracker.log_text("configuration", asdict(config))
    images = next(iter(prepared.task.images["train"].epoch(1))).images[:SAMPLES_SHOWN]
    tracker.log_pictures("samples/train", as_pictures(images, prepared.task.network.preprocessing))


def _warn_about_resuming(config: Config, saved: dict) -> None:
    known = {field.name for field in fields(TrainConfig)}
    before = TrainConfig(**{key: value for key, value in saved["config"]["train"].items() if key in known})
    warning = rise_on_resume(before, config.train, epochs_done=saved["state"]["epoch"])
    if warning:
        print(warning, flush=True)


def _shared_by_checkpoints(prepared: Prepared, fit: Fit, config: Config) -> dict:
    """What every checkpoint contains besides the learned state: enough to predict without the configuration tree."""
    return {
        "classes": list(prepared.task.data.classes),
        "preprocessing": prepared.task.network.preprocessing.to_dict(),
        "model_config": asdict(config.model),
        "config": asdict(config),
        "precision": fit.precision,
        **prepared.origin,
    }


def _finish(prepared: Prepared, fit: Fit, result: FitResult, recorder: Recorder, config: Config, *, command: str) -> dict:
    """Evaluate the best state on validation and, once, on test; write pictures and the summary."""
    start, task, progress = time.perf_counter(), prepared.task, result.progress
    predictions = {split: result.predict(split) for split in ("val", "test")}
    metrics = {split: summarise_predictions(*found) for split, found in predictions.items()}
    if task.data.unseen:
        metrics["test"]["zero_shot"] = zero_shot_scores(*predictions["test"], task.data.unseen)
    if result.train:
        metrics["train"] = result.train
    _picture(prepared, fit, result, recorder, predictions["test"], metrics["test"]["confusion"])
    costs = fit.costs()
    summary = {
        "status": "completed",
        "error": None,
        "classes": list(task.data.classes),
        "metrics": metrics,
        "best_epoch": progress.best_epoch,
        "epochs_done": progress.epoch,
        "seconds": progress.seconds + time.perf_counter() - start,
        "images_per_second": result.images_per_second,
        "peak_memory_mb": peak_memory_mb(task.device),
        "parameters": costs.parameters,
        "multiply_adds": costs.multiply_adds,
        "trainable_map": trainable_map(fit.network, fit.plan, config.strategy),
        "classifier": fit.classifier(),
        **prepared.origin,
        "device": str(task.device),
        "precision": fit.precision,
        "batch_size": fit.batch_size,
        "data": task.data.report,
        "config": asdict(replace(config, resume=None)),
        "identity": identity_of(
            asdict(config),
            data=task.data.report["digest"],
            weights=(prepared.origin["weights"] or {}).get("sha256"),
            precision=fit.precision,
            lengths=[sitting["epochs"] for sitting in recorder.shared["sittings"]],
        ),
        "sittings": recorder.shared["sittings"],
        **environment(),
        "command": command,
    }
    recorder.tracker.log_hparams(asdict(config), metrics)
    recorder.record.write_summary(summary)
    return summary


def _picture(
    prepared: Prepared,
    fit: Fit,
    result: FitResult,
    recorder: Recorder,
    test: Predictions,
    confusion: list[list[int]] | None,
) -> None:
    """Write what reports and TensorBoard show: predictions, mistakes, attribution maps, filters, features."""
    task, network = prepared.task, result.network
    classes, preprocessing = task.data.classes, network.preprocessing
    pictures = write_artifacts(
        recorder.record.run_dir,
        network=network if is_differentiable(network.head) else None,
        batches=task.images["test"],
        classes=classes,
        probabilities=test.probabilities,
        labels=test.labels,
        ids=task.data.test.ids,
        preprocessing=preprocessing,
    )
    tracker, shown = recorder.tracker, {"probabilities": test.probabilities, "labels": test.labels, "classes": classes}
    log_results(tracker, pictures, **shown, confusion=confusion)
    log_embedding(tracker, network, task.images["val"], classes, preprocessing, known=fit.known_features())
