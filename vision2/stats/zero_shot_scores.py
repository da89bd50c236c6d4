"""Scores of zero-shot learning: among the unseen classes alone and, generalised, among all classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vision2.stats.intervals import wilson_interval


def harmonic_mean(a: float, b: float) -> float:
    """2ab / (a + b); 0 if both are 0."""
    return 2 * a * b / (a + b) if a + b else 0.0


def zero_shot_scores(scores: np.ndarray, labels: np.ndarray, unseen: Sequence[int]) -> dict:
    """Accuracies with their Wilson 95 % intervals, in the terms of Xian et al. 2018 (arXiv 1707.00600, section 4).

    Args:
        scores: (N, K), the highest is the prediction.
        labels: (N,) integers below K.
        unseen: the classes without training images, at least two.

    Returns:
        unseen: images of unseen classes, when only these can be the answer, and the chance level; generalised: images of
        seen and of unseen classes when any class can be the answer, and the harmonic mean of the two accuracies.
    """
    unseen = np.asarray(sorted(unseen))
    new = np.isin(labels, unseen)
    correct = scores.argmax(1) == labels
    among = unseen[scores[new][:, unseen].argmax(1)] == labels[new]
    generalised = {"seen": _share(correct[~new]), "unseen": _share(correct[new])}
    mean = harmonic_mean(*(row["accuracy"] for row in generalised.values()))
    return {
        "classes": unseen.tolist(),
        "unseen": _share(among) | {"chance": 1 / len(unseen)},
        "generalised": generalised | {"harmonic_mean": mean, "chance": 1 / scores.shape[1]},
    }


def _share(correct: np.ndarray) -> dict:
    n = len(correct)
    low, high = wilson_interval(int(correct.sum()), n)
    return {"accuracy": float(correct.mean()) if n else 0.0, "accuracy_low": low, "accuracy_high": high, "n": n}
