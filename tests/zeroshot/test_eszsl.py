from __future__ import annotations

import numpy as np
import pytest

from vision2.zeroshot.eszsl import choose, solve


def problem(seed=0, images=60, width=5, attributes=3, classes=4):
    rng = np.random.default_rng(seed)
    signatures = rng.normal(size=(classes, attributes))
    labels = rng.permutation(np.arange(images) % classes)
    return rng.normal(size=(images, width)) + signatures[labels] @ rng.normal(size=(attributes, width)), labels, signatures


def test_the_closed_form_solves_the_normal_equations_of_its_objective():
    """vec(V) from one linear system: (S'S + l) kron (X'X + g), with Kronecker products on column-major vec."""
    x, labels, s = problem()
    gamma, lambda_ = 0.3, 0.07
    targets = 2 * np.eye(len(s))[labels] - 1
    left = np.kron(s.T @ s + lambda_ * len(s) * np.eye(3), x.T @ x + gamma * len(x) * np.eye(5))
    expected = np.linalg.solve(left, (x.T @ targets @ s).ravel(order="F")).reshape(5, 3, order="F")
    assert solve(x, labels, s, gamma=gamma, lambda_=lambda_) == pytest.approx(expected)


def test_no_small_change_lowers_the_objective():
    x, labels, s = problem(1)
    g, k = 0.5, 0.2
    targets = 2 * np.eye(len(s))[labels] - 1

    def objective(v):
        gamma, lambda_ = g * len(x), k * len(s)
        parts = (x @ v @ s.T - targets, gamma**0.5 * v @ s.T, lambda_**0.5 * x @ v, (gamma * lambda_) ** 0.5 * v)
        return sum(np.square(part).sum() for part in parts)

    v, rng = solve(x, labels, s, gamma=g, lambda_=k), np.random.default_rng(0)
    for _ in range(20):
        assert objective(v + 1e-3 * rng.normal(size=v.shape)) > objective(v)


def test_an_unseen_class_is_recognised_where_features_are_a_linear_image_of_the_attributes():
    rng = np.random.default_rng(0)
    signatures = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]]) / 1.0
    signatures /= np.linalg.norm(signatures, axis=1, keepdims=True)
    labels = np.arange(300) % 6
    features = signatures[labels] @ rng.normal(size=(3, 8)) + 0.05 * rng.normal(size=(300, 8))
    seen = labels < 4
    chosen = choose(features[seen], labels[seen], signatures[:4], held_out=2, seed=0)
    v = solve(features[seen], labels[seen], signatures[:4], gamma=chosen.gamma, lambda_=chosen.lambda_)
    scores = features[~seen] @ v @ signatures[4:].T
    assert (scores.argmax(1) == labels[~seen] - 4).all()


def test_the_strengths_are_chosen_without_the_unseen_classes_and_reproducibly():
    x, labels, s = problem(2, classes=6)
    first, again = (choose(x, labels, s, held_out=2, seed=3) for _ in range(2))
    assert first == again
    assert 0 <= first.accuracy <= 1
