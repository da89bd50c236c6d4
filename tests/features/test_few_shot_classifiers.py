from __future__ import annotations

import numpy as np
import pytest

from vision2.features.few_shot_classifiers import CLASSIFIERS, UNIT_VECTOR_SETTINGS, unit
from vision2.models.heads import COSINE_SCALE
from vision2.strategies.settings import CLASSIFIERS as STRATEGY_CLASSIFIERS


@pytest.fixture
def episode():
    """Three classes with four support images and ten queries each, as positive features like those after a ReLU."""
    rng = np.random.default_rng(0)
    support, queries = np.repeat(np.arange(3), 4), np.repeat(np.arange(3), 10)
    vectors = [np.abs(3 * np.eye(3, 8)[labels] + rng.normal(size=(len(labels), 8))) for labels in (support, queries)]
    return vectors[0].astype(np.float32), support, vectors[1].astype(np.float32), queries


def means(support, labels):
    return np.stack([support[labels == label].mean(0) for label in range(3)]).astype(np.float64)


def lengths(vectors):
    return np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_is_far_above_chance(name, episode):
    support, labels, queries, truth = episode
    scores = CLASSIFIERS[name](support, labels, queries)
    assert scores.shape == (30, 3)
    assert (scores.argmax(1) == truth).mean() > 0.8


def test_they_have_the_names_of_the_strategies_except_the_transductive_one():
    assert set(CLASSIFIERS) - set(STRATEGY_CLASSIFIERS) == {"soft_kmeans"}


def test_centroids_are_nearest_by_euclidean_distance_or_by_angle(episode):
    support, labels, queries, _ = episode
    centres = means(support, labels)
    distances = np.square(queries[:, None] - centres).sum(2)
    assert (CLASSIFIERS["centroid"](support, labels, queries).argmax(1) == distances.argmin(1)).all()
    cosine = queries @ centres.T / lengths(queries) / lengths(centres).T
    assert CLASSIFIERS["centroid_cosine"](support, labels, queries) / COSINE_SCALE == pytest.approx(cosine, abs=1e-5)


def test_logistic_regression_is_that_of_scikit_learn_on_vectors_of_length_one(episode):
    from sklearn.linear_model import LogisticRegression

    support, labels, queries, _ = episode
    model = LogisticRegression(C=UNIT_VECTOR_SETTINGS["logistic"]).fit(support / lengths(support), labels)
    expected = model.predict_proba(queries / lengths(queries))
    scores = CLASSIFIERS["logistic"](support, labels, queries).astype(np.float64)
    found = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert found == pytest.approx(expected, abs=0.02)


def test_soft_kmeans_moves_each_mean_towards_the_queries_that_are_probably_of_its_class(episode):
    support, labels, queries, _ = episode
    x, q = support / lengths(support), queries / lengths(queries)
    centres = means(x, labels)
    shares = np.exp(COSINE_SCALE * q @ (centres / lengths(centres)).T)
    shares /= shares.sum(1, keepdims=True)
    moved = np.stack([(x[labels == k].sum(0) + shares[:, k] @ q) / (4 + shares[:, k].sum()) for k in range(3)])
    expected = q @ (moved / lengths(moved)).T
    assert CLASSIFIERS["soft_kmeans"](support, labels, queries) == pytest.approx(expected, abs=1e-5)


def test_only_soft_kmeans_looks_at_the_other_queries(episode):
    support, labels, queries, _ = episode
    for name, scores in CLASSIFIERS.items():
        alone, together = scores(support, labels, queries[:1]), scores(support, labels, queries)[:1]
        assert np.allclose(alone, together, atol=1e-4) == (name != "soft_kmeans")


def test_a_vector_of_zeros_has_no_direction_and_breaks_nothing():
    assert unit(np.zeros((1, 4))).tolist() == [[0.0] * 4]
