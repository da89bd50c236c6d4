"""Scores compared with dense formulas that share no step with the code: explicit inverses, a Gaussian density, a grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from vision2.features.transferability import (
    h_score,
    knn_accuracy,
    log_me,
    probe_accuracy,
    rank_correlation,
    transferability,
)


def blobs(separation: float, n: int = 60, width: int = 5, classes: int = 3, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = rng.normal(size=(classes, width)) * separation
    return centres[labels] + rng.normal(size=(n, width)), labels


def test_h_score_is_the_trace_of_inverse_covariance_times_covariance_of_class_means():
    features, labels = blobs(1.0)
    means = np.stack([features[labels == label].mean(0) for label in labels])
    expected = np.trace(np.linalg.inv(np.cov(features.T, bias=True)) @ np.cov(means.T, bias=True))
    assert h_score(features, labels) == pytest.approx(expected, rel=1e-9)


def test_h_score_ignores_directions_without_variance_and_any_rescaling():
    features, labels = blobs(1.0)
    padded = np.hstack([features * [1, 10, 0.1, 1, 3], np.full((len(features), 1), 7.0), features[:, :1] * 2])
    assert h_score(padded, labels) == pytest.approx(h_score(features, labels), rel=1e-6)


@pytest.mark.parametrize(("n", "width"), [(40, 4), (12, 20)])
def test_log_me_is_the_maximum_gaussian_log_density_over_a_grid(n, width):
    """The evidence is log N(y; 0, I/beta + F F'/alpha) / N; no point of a grid over both precisions exceeds it."""
    features, labels = blobs(0.5, n=n, width=width, classes=2)
    best = []
    for label in np.unique(labels):
        target = (labels == label).astype(float)
        grid = [
            multivariate_normal(np.zeros(n), np.eye(n) / beta + features @ features.T / alpha).logpdf(target) / n
            for alpha in np.logspace(-2, 4, 61)
            for beta in np.logspace(-1, 3, 61)
        ]
        best.append(max(grid))
    found = log_me(features, labels)
    assert found == pytest.approx(np.mean(best), abs=2e-3)
    assert found >= np.mean(best) - 1e-4


def test_leave_one_out_neighbours_agree_with_an_explicit_loop():
    features, labels = blobs(0.7, n=45)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    hits = 0
    for i in range(len(labels)):
        others = sorted((j for j in range(len(labels)) if j != i), key=lambda j: -(unit[i] @ unit[j]))[:5]
        votes = [labels[j] for j in others]
        most = max(votes.count(label) for label in set(votes))
        leaders = [label for label in set(votes) if votes.count(label) == most]
        if len(leaders) == 1:
            hits += leaders[0] == labels[i]
        else:
            hits += max(leaders, key=lambda c: sum(5 - r for r, v in enumerate(votes) if v == c)) == labels[i]
    assert knn_accuracy(features, labels) == pytest.approx(hits / len(labels))


def test_every_score_prefers_features_that_separate_the_classes():
    good, bad = (transferability(*blobs(separation)) for separation in (3.0, 0.05))
    assert all(good[name] > bad[name] for name in good)


def test_a_probe_needs_two_images_of_each_class():
    features, _ = blobs(1.0, n=4)
    with pytest.raises(ValueError, match="two images"):
        probe_accuracy(features, np.array([0, 0, 0, 1]))


def test_rank_correlation_depends_on_order_only_and_needs_three_pairs():
    assert rank_correlation([1, 2, 3, 4], [10, 100, 1000, 10000]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    assert rank_correlation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    assert rank_correlation([1, 2], [1, 2]) is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
