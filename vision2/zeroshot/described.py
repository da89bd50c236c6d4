"""The result of classifying images without any training image: accuracy, chance level and each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vision2.basics import text_table
from vision2.stats.intervals import wilson_interval
from vision2.stats.metrics import class_scores, confusion_matrix


def described(scores: np.ndarray, labels: np.ndarray, classes: Sequence[str], names: Sequence[str]) -> dict:
    """Accuracy with its Wilson 95 % interval, and the scores of each class, from scores (N, C) and labels (N,)."""
    confusion = confusion_matrix(labels, scores.argmax(1), len(classes))
    n, correct = len(labels), int(np.trace(confusion))
    low, high = wilson_interval(correct, n)
    accuracy = {"accuracy": correct / n, "accuracy_low": low, "accuracy_high": high, "n": n, "chance": 1 / len(classes)}
    rows = class_scores(confusion)
    per_class = [{"class": c, "name": name} | row for c, name, row in zip(classes, names, rows, strict=True)]
    return accuracy | {"per_class": per_class, "confusion": confusion.tolist()}


def as_text(found: dict) -> str:
    rows = [
        [row["class"], row["name"], str(row["n"]), f"{100 * row['recall']:.1f}", f"{100 * row['precision']:.1f}"]
        for row in found["per_class"]
    ]
    share = "{:.1f} % (95 % interval {:.1f} to {:.1f}, n = {:,})".format(
        *(100 * found[key] for key in ("accuracy", "accuracy_low", "accuracy_high")), found["n"]
    )
    table = text_table.as_text(["class", "name", "test images", "recall, %", "precision, %"], rows)
    return f"{table}\n\ntest accuracy {share}; chance {100 * found['chance']:.1f} %"
