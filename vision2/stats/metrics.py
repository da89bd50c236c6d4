"""Metrics of a classifier, computed from its predicted probabilities.

Only NumPy is used, because importing `sklearn.metrics` would delay every run by one to two seconds. The tests compare each
metric with scikit-learn's.
"""

from __future__ import annotations

import numpy as np

from vision2.stats.intervals import wilson_interval

CONFUSION_KEPT_UP_TO = 200  # classes; for 1,000 the matrix has a million entries, which every report would load
ECE_BINS = 15  # Guo et al. 2017, "On Calibration of Modern Neural Networks"
SMALLEST_PROBABILITY = 1e-12  # a float32 softmax can underflow to 0; this bounds the loss of one sample by 27.6


def summarise_predictions(probabilities: np.ndarray, labels: np.ndarray) -> dict:
    """All metrics of one split.

    Args:
        probabilities: (N, K), rows sum to 1.
        labels: (N,) integers below K.

    Returns:
        accuracy with its Wilson 95 % interval (accuracy_low, accuracy_high), balanced_accuracy (mean recall of the
        classes present), macro_f1 (mean over classes present or predicted), top5 when K > 5 (see `top_accuracy`), loss
        (mean negative log-likelihood, nats), ece, calibration (the bins behind it), n, per_class (one dict per class, in
        order) and confusion (K x K, rows are the true classes; None for more than `CONFUSION_KEPT_UP_TO` classes).

    Raises:
        ValueError: when there are no samples, the shapes do not match, or a probability is NaN or infinite: argmax would
            take it for the most probable class.
    """
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or len(labels) == 0:
        raise ValueError(f"need probabilities (N, K) and labels (N,) with N > 0, got {probabilities.shape} and {labels.shape}")
    if not np.isfinite(probabilities).all():
        raise ValueError("need finite probabilities, got NaN or infinite ones")
    n, num_classes = probabilities.shape
    confusion = confusion_matrix(labels, probabilities.argmax(1), num_classes)
    correct = int(np.trace(confusion))
    low, high = wilson_interval(correct, n)
    per_class = class_scores(confusion)
    true_probability = probabilities[np.arange(n), labels]
    bins = calibration_bins(probabilities, labels)
    result = {
        "accuracy": correct / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": float(np.mean([row["recall"] for row in per_class if row["n"]])),
        "macro_f1": float(np.mean([row["f1"] for row in per_class if row["n"] or row["predicted"]])),
        "loss": float(-np.log(np.maximum(true_probability, SMALLEST_PROBABILITY)).mean()),
        # mean over samples of |accuracy - confidence| of their bin (Naeini et al. 2015)
        "ece": sum(row["n"] * abs(row["accuracy"] - row["confidence"]) for row in bins) / n,
        "calibration": bins,
        "n": n,
        "per_class": per_class,
        "confusion": confusion.tolist() if num_classes <= CONFUSION_KEPT_UP_TO else None,
    }
    if num_classes > 5:
        result["top5"] = top_accuracy(probabilities, labels, 5)
    return result


def top_accuracy(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of samples whose true class is among the k most probable: the expected value when ties are broken at random.

    If b classes are more probable and t are tied with the true class (itself included), its chance is (k - b) / t, clipped
    to [0, 1]. Ties are common with k nearest neighbours, where most classes get no vote.
    """
    true_probability = probabilities[np.arange(len(labels)), labels][:, None]
    better, tied = (probabilities > true_probability).sum(1), (probabilities == true_probability).sum(1)
    return float(np.clip((k - better) / tied, 0, 1).mean())


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts (K, K): rows are true classes, columns are predicted classes."""
    flat = labels.astype(np.int64) * num_classes + predicted
    return np.bincount(flat, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_scores(confusion: np.ndarray) -> list[dict]:
    """Precision, recall, F1, number of images and of predictions per class; 0 / 0 is 0, as in scikit-learn."""
    hits, n, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)

    def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return part / np.maximum(whole, 1)  # if the denominator is 0, so is the numerator

    scores = {"precision": share(hits, predicted), "recall": share(hits, n), "f1": share(2 * hits, n + predicted)}
    columns = {name: values.tolist() for name, values in (scores | {"n": n, "predicted": predicted}).items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def calibration_bins(probabilities: np.ndarray, labels: np.ndarray) -> list[dict]:
    """Confidence and accuracy in equal-width bins (low, high] of the top probability; empty bins are omitted."""
    confidence, correct = probabilities.max(1).astype(np.float64), probabilities.argmax(1) == labels
    index = np.clip(np.ceil(confidence * ECE_BINS).astype(int) - 1, 0, ECE_BINS - 1)
    return [
        {
            "low": number / ECE_BINS,
            "high": (number + 1) / ECE_BINS,
            "confidence": float(confidence[inside].mean()),
            "accuracy": float(correct[inside].mean()),
            "n": int(inside.sum()),
        }
        for number in np.unique(index).tolist()
        for inside in [index == number]
    ]
