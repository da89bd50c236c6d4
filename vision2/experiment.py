"""One run from configuration to summary, in order from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path

from vision2.basics.safe_text import printable
from vision2.config.schema import Config
from vision2.data.augment.text import describe_augment, flip_question
from vision2.faults.fits import start_fit
from vision2.faults.mark import announce
from vision2.models.heads import is_differentiable
from vision2.pictures.artifacts import write_artifacts
from vision2.pictures.dashboard import log_embedding, log_episode, log_results
from vision2.pictures.images import as_pictures
from vision2.preparation import Prepared, check_resumable, prepare
from vision2.runs.environment import environment
from vision2.runs.identity import identity_of
from vision2.runs.records import RunRecord
from vision2.runs.sittings import sittings_of
from vision2.runs.status import begin
from vision2.runs.tensorboard import TensorBoardTracker
from vision2.runs.transfer_source import describe_lineage
from vision2.strategies import STRATEGIES
from vision2.training.checkpoint import load_last
from vision2.training.fit import Fit, FitResult
from vision2.training.measure import Measured
from vision2.training.parameter_plan import format_map, trainable_map
from vision2.training.process_memory import peak_memory_mb, reset_peak_memory
from vision2.training.progress import ProgressBars
from vision2.training.ranks import ONE_RANK, Ranks
from vision2.training.recorder import Recorder, SilentRecorder
from vision2.training.schedule import rise_on_resume
from vision2.training.settings import TrainConfig

SAMPLES_SHOWN = 16
MEASURED = ("val", "test")  # in this order in every process


def run(config: Config, create_run_dir: Callable[[], Path], command: str, ranks: Ranks = ONE_RANK) -> dict:
    """Train (or resume) one run and evaluate its best state; return the summary.

    Nothing is written before data and weights are available: `create_run_dir` is called only then. Of several processes,
    only the first one writes; the summary of the others is empty.

    Raises:
        UserError: for problems that the user can solve (missing data or weights, a diverged loss).
    """
    start = time.perf_counter()
    reset_peak_memory()
    saved = load_last(config.resume)
    prepared = prepare(config, saved, ranks)
    fit = start_fit(config.fault, STRATEGIES[config.strategy.name], prepared.task)
    if saved and fit is not None:
        check_resumable(prepared.task, Path(config.resume), fit.epochs)
    record = RunRecord(create_run_dir())
    if ranks.rank:
        return _take_part(fit, record.run_dir)
    begin(record, asdict(config), command, resumed=saved is not None)
    tracker = TensorBoardTracker(record.run_dir, resume_step=saved["state"]["epoch"] if saved else None)
    bars = ProgressBars(fit.epochs, done=saved["state"]["epoch"] if saved else 0)
    try:
        announce(config.fault)
        _introduce(prepared, fit, record)
        sittings = sittings_of(config, saved, ranks.size)
        if saved:
            _warn_about_resuming(config, saved)
        else:
            _record_start(prepared, fit, record, tracker, config)
        shared = _shared_by_checkpoints(prepared, fit, config) | {"sittings": sittings}
        recorder = Recorder(record, tracker, bars, shared, prepared_seconds=time.perf_counter() - start)
        result = fit.run(recorder)
        summary = _finish(prepared, fit, result, recorder, config, command=command)
        announce(config.fault)
        return summary
    finally:
        bars.close()
        tracker.close()


def _take_part(fit: Fit | None, run_dir: Path) -> dict:
    """Train and evaluate with the first process, which records all results; nothing if it goes on alone."""
    if fit is None:
        return {}
    result = fit.run(SilentRecorder(run_dir, ProgressBars(fit.epochs)))
    for split in MEASURED:
        result.measure(split)
    return {}


def _introduce(prepared: Prepared, fit: Fit, record: RunRecord) -> None:
    """Print the network, the data and how they will be trained, before the first step."""
    task, data = prepared.task, prepared.task.data
    sizes = {split.name: len(split.labels) for split in (data.train, data.val, data.test)}
    others = f" ({len(data.new_classes)} others to validate and test)" if data.new_classes else ""
    print(f"{task.network.name} on {data.name}: {len(data.classes)} classes{others}, {sizes}", flush=True)
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
    shared = f" over {task.ranks.size} processes" if task.ranks.size > 1 else ""
    print(f"{task.device}, {fit.precision}, batch {fit.batch_size}{shared}, {size} px -> {record.run_dir}", flush=True)
    if any(row["batchnorm"] == "adapts" for row in rows) and (warning := task.ranks.small_batch(fit.batch_size, task.train)):
        print(warning, flush=True)


def _record_start(prepared: Prepared, fit: Fit, record: RunRecord, tracker: TensorBoardTracker, config: Config) -> None:
    """Write the split to the run folder, and the configuration and the first batch to TensorBoard.

    If the validation classes are not trained on, their features before training, too, to compare with those after it.
    """
    task, data, preprocessing = prepared.task, prepared.task.data, prepared.task.network.preprocessing
    record.write_split(data.split_record())
    tracker.log_text("configuration", asdict(config))
    images = next(iter(task.images["train"].epoch(1))).images[:SAMPLES_SHOWN]
    tracker.log_pictures("samples/train", as_pictures(images, preprocessing))
    if data.new_classes and fit.epochs:
        log_embedding(tracker, task.network, task.images["val"], data.all_classes, preprocessing, tag="features_before")


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
    measured = {split: result.measure(split) for split in MEASURED}
    metrics = {split: found.metrics for split, found in measured.items()}
    if result.train:
        metrics["train"] = result.train
    if measured["test"].episodes:
        recorder.record.write_episodes(measured["test"].episodes)
    _picture(prepared, fit, result, recorder, measured["test"])
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
        "trainable_map": trainable_map(fit.network, fit.plan, task.strategy),
        "classifier": fit.classifier(),
        **prepared.origin,
        "device": str(task.device),
        "precision": fit.precision,
        "batch_size": fit.batch_size,
        "world_size": task.ranks.size,
        "data": task.data.report,
        "config": asdict(replace(config, resume=None)),
        "identity": identity_of(
            asdict(config),
            data=task.data.report["digest"],
            weights=(prepared.origin["weights"] or {}).get("sha256"),
            precision=fit.precision,
            lengths=[sitting["epochs"] for sitting in recorder.shared["sittings"]],
            world_size=task.ranks.size,
        ),
        "sittings": recorder.shared["sittings"],
        **environment(),
        "command": command,
    }
    if config.fault:
        summary["fault"] = config.fault
    recorder.tracker.log_hparams(asdict(config), metrics)
    recorder.record.write_summary(summary)
    return summary


def _picture(prepared: Prepared, fit: Fit, result: FitResult, recorder: Recorder, test: Measured) -> None:
    """Write what reports and TensorBoard show: predictions, mistakes, attribution maps, filters, features.

    Without predictions for fixed classes, an episode and the features of the validation images are shown.
    """
    task, network, tracker = prepared.task, result.network, recorder.tracker
    preprocessing = network.preprocessing
    if test.predictions is not None:
        probabilities, labels = test.predictions
        pictures = write_artifacts(
            recorder.record.run_dir,
            network=network if is_differentiable(network.head) else None,
            batches=task.images["test"],
            classes=task.data.classes,
            probabilities=probabilities,
            labels=labels,
            ids=task.data.test.ids,
            preprocessing=preprocessing,
        )
        shown = {"probabilities": probabilities, "labels": labels, "classes": task.data.classes}
        log_results(tracker, pictures, **shown, confusion=test.metrics["confusion"])
    if test.example is not None:
        log_episode(tracker, *test.example(), preprocessing)
    log_embedding(tracker, network, task.images["val"], task.data.all_classes, preprocessing, known=fit.known_features())
