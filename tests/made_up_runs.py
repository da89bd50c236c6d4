"""Run folders as real runs leave them, with made-up numbers."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np

from vision2.basics.atomic_write import write_json
from vision2.runs.records import RunRecord
from vision2.stats.metrics import summarise_predictions

CONFIG = {
    "model": {"name": "resnet20", "stem": None},
    "dataset": {"name": "digits", "fraction": 1.0, "cache": "disk"},
    "strategy": {"name": "scratch", "lr": 0.05, "source": None},
    "train": {"epochs": 3},
    "seed": 0,
    "output_dir": "outputs",
}
CLASSES = ["cat", "dog", "eel"]


def configuration(**changes) -> dict:
    """`CONFIG` with dotted keys changed: configuration(**{"model.name": "plain20"})."""
    config = copy.deepcopy(CONFIG)
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        (config.setdefault(section, {}) if section else config)[name] = value
    return config


def predictions(accuracy: float, n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels whose accuracy is as near to `accuracy` as n images allow."""
    stream = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    guesses = np.where(np.arange(n) < round(accuracy * n), labels, (labels + 1) % len(CLASSES))
    sure = stream.uniform(0.4, 0.95, n)
    probabilities = np.repeat(((1 - sure) / (len(CLASSES) - 1))[:, None], len(CLASSES), axis=1)
    probabilities[np.arange(n), guesses] = sure
    return probabilities, labels


def make_run(folder: Path, name: str, config: dict, *, accuracy: float | None = 0.9, status: str = "completed", **more) -> Path:
    """A finished run folder; `more` overrides keys of the summary."""
    record = RunRecord(folder / name)
    record.run_dir.mkdir(parents=True)
    record.write_config(config)
    summary = {"status": status, "error": None, "config": config, "command": "python -m vision2.train model=resnet20"}
    summary |= {"classes": CLASSES, "device": "cpu", "versions": {"torch": "2.14"}, "parameters": 270_000}
    summary |= {"multiply_adds": 40_800_000, "seconds": 12.5, "images_per_second": 900.0, "best_epoch": 3}
    if status == "completed" and accuracy is not None:
        for epoch in (1, 2, 3):
            share = accuracy * (0.7 + 0.1 * epoch)
            values = {
                "train_loss": 1 / epoch,
                "val_loss": 1.2 / epoch,
                "train_accuracy": share,
                "val_accuracy": share - 0.02,
            }
            record.log_epoch({"epoch": epoch, "lr": 0.1, "gradient_norms": {"stem": 0.5 / epoch, "head": 1.0}, **values})
        test = summarise_predictions(*predictions(accuracy))
        test["accuracy"] = accuracy  # exactly, whatever 60 images allow
        summary["metrics"] = {"test": test, "val": test, "train": {"accuracy": accuracy, "loss": 0.3}}
        summary["trainable_map"] = [
            {"stage": "stem", "parameters": 432, "learning": 0, "from_epoch": None, "batchnorm": "frozen", "lr": []},
            {"stage": "head", "parameters": 650, "learning": 650, "from_epoch": 1, "batchnorm": "none", "lr": [0.05]},
        ]
    record.write_summary(summary | more)
    return record.run_dir


def with_split(run: Path, fingerprint: str, test_ids) -> None:
    """What a run leaves about its split."""
    write_json(run / "split.json", {"dataset": "digits", "fingerprint": fingerprint, "splits": {}})
    np.savez_compressed(run / "predictions.npz", ids=np.array([str(name) for name in test_ids], dtype=np.str_))


def break_run(run_dir: Path, text: str = '{"status": "comp') -> None:
    (run_dir / "summary.json").write_text(text)


def write_json_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
