"""Transferability scores: how well the features of a pretrained network suit a data set, measured before training on it.

Every score takes features (N, D) and labels (N,) as NumPy arrays; higher is better. Scores rank backbones or layers on
one data set; they do not predict the accuracy after training and cannot be compared across data sets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

LOGME_STEPS = 100
LOGME_TOLERANCE = 1e-5  # relative change of alpha / beta, at which the evidence is flat
PROBE_FOLDS = 5
NEIGHBOURS = 5


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """tr(cov(f)^-1 cov(E[f | y])), between 0 and min(D, K - 1) (Bao et al. 2019, ICIP, eq. 3).

    The pseudo-inverse drops directions without variance. Unless N is well above D, any labels look separable: reduce D or
    sample more images before interpreting the score.
    """
    features, labels = _checked(features, labels)
    centred = features - features.mean(0)
    # In the basis of left singular vectors the covariance is the identity, so the trace is a sum of squares.
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    left = left[:, values > values.max(initial=0.0) * max(centred.shape) * np.finfo(np.float64).eps]
    means = [left[labels == label].mean(0) * math.sqrt((labels == label).sum()) for label in np.unique(labels)]
    return float(np.square(means).sum())


def log_me(features: np.ndarray, labels: np.ndarray) -> float:
    """Maximum log evidence per image of Bayesian linear regression on 0/1 labels, averaged over classes.

    LogME (You et al. 2021, ICML), with the fixed-point iteration of algorithm 1 in the singular basis of the features.
    """
    features, labels = _checked(features, labels)
    left, values, _ = np.linalg.svd(features, full_matrices=False)
    spectrum = np.square(values)
    evidences = [
        _evidence(left, spectrum, (labels == label).astype(np.float64), features.shape[1]) for label in np.unique(labels)
    ]
    return float(np.mean(evidences))


def _evidence(left: np.ndarray, spectrum: np.ndarray, target: np.ndarray, width: int) -> float:
    """Log evidence / N, maximised over alpha (prior precision of the weights) and beta (precision of the noise)."""
    n = len(target)
    projected = left.T @ target  # the target in the singular basis
    outside = max(float(target @ target - projected @ projected), 0.0)
    alpha = beta = 1.0
    for _ in range(LOGME_STEPS):
        ratio = alpha / beta
        gamma = float((spectrum / (spectrum + ratio)).sum())
        weights = float((spectrum * projected**2 / (spectrum + ratio) ** 2).sum())  # |m|^2 of the posterior mean m
        residual = float((projected**2 * (ratio / (spectrum + ratio)) ** 2).sum()) + outside
        alpha = gamma / max(weights, 1e-12)
        beta = (n - gamma) / max(residual, 1e-12)
        if abs(alpha / beta - ratio) <= LOGME_TOLERANCE * ratio:
            break
    ratio = alpha / beta
    weights = float((spectrum * projected**2 / (spectrum + ratio) ** 2).sum())
    residual = float((projected**2 * (ratio / (spectrum + ratio)) ** 2).sum()) + outside
    # Directions beyond the rank have spectrum 0 and add log(alpha) each, which the prior's term cancels.
    log_determinant = float(np.log(alpha + beta * spectrum).sum()) + (width - len(spectrum)) * math.log(alpha)
    evidence = width * math.log(alpha) + n * math.log(beta) - n * math.log(2 * math.pi) - log_determinant
    return (evidence - beta * residual - alpha * weights) / (2 * n)


def knn_accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """Leave-one-out accuracy of a vote of the 5 nearest neighbours (or all N - 1) by cosine similarity.

    Raises:
        ValueError: for fewer than two images.
    """
    from sklearn.neighbors import NearestNeighbors

    features, labels = _checked(features, labels)
    neighbours = min(NEIGHBOURS, len(labels) - 1)
    nearest = NearestNeighbors(n_neighbors=neighbours, metric="cosine").fit(features).kneighbors(return_distance=False)
    voters = labels[nearest]  # without the image itself, nearest first
    votes = (voters[:, :, None] == np.unique(labels)).astype(np.float64)
    votes *= (1 + 1e-6 * np.arange(neighbours, 0, -1))[None, :, None]  # nearer neighbours decide a tie
    return float((np.unique(labels)[votes.sum(1).argmax(1)] == labels).mean())


def probe_accuracy(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> float:
    """Cross-validated accuracy (5 folds) of a ridge classifier whose penalty is selected within each training fold.

    A class with fewer images than folds lowers the number of folds.

    Raises:
        ValueError: when a class has only one image.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = _checked(features, labels)
    folds = min(PROBE_FOLDS, int(np.bincount(labels)[np.unique(labels)].min()))
    if folds < 2:
        raise ValueError("a probe needs at least two images of each class")
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(0, 5, 6)))
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return float(cross_val_score(model, features, labels, cv=split).mean())


def transferability(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> dict[str, float]:
    """All scores by name: h_score, log_me, knn_accuracy, probe_accuracy."""
    return {
        "h_score": h_score(features, labels),
        "log_me": log_me(features, labels),
        "knn_accuracy": knn_accuracy(features, labels),
        "probe_accuracy": probe_accuracy(features, labels, seed),
    }


def rank_correlation(scores: Sequence[float], results: Sequence[float]) -> float | None:
    """Spearman's rank correlation of scores and results; None for fewer than three pairs or when either is constant."""
    scores, results = np.asarray(scores, dtype=float), np.asarray(results, dtype=float)
    if len(scores) < 3 or np.ptp(scores) == 0 or np.ptp(results) == 0:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(scores, results).statistic)


def _checked(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features, labels = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1] or len(labels) < 2:
        raise ValueError(f"need features (N, D) and labels (N,) with N > 1, got {features.shape} and {labels.shape}")
    return features, labels
