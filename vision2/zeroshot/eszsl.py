"""ESZSL: a bilinear map between features and attributes, in closed form (Romera-Paredes and Torr 2015, ICML, section 3).

With features X (N, D), targets Y (N, Z) that are 1 for the class of an image and -1 for all others, and the signatures
S (Z, A) of the Z seen classes, V (D, A) minimises

    |X V S' - Y|^2 + gamma |V S'|^2 + lambda |X V|^2 + gamma lambda |V|^2,

whose minimum is (equation 10, which has images and classes in columns)

    V = (X'X + gamma I)^-1  X' Y S  (S'S + lambda I)^-1.

An image x belongs to the class with the highest score x' V s, for any class that has a signature s, seen or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from vision2.basics.randomness import numpy_stream

STRENGTHS = tuple(10.0**power for power in range(-3, 4))  # of gamma and lambda, the paper's range
VALIDATION_DRAWS = 30  # at most this many sets of seen classes are held out in turn


class Chosen(NamedTuple):
    """Regularisation and its accuracy on the classes that were held out to choose it, averaged over the draws."""

    gamma: float
    lambda_: float
    accuracy: float


def solve(features: np.ndarray, labels: np.ndarray, signatures: np.ndarray, *, gamma: float, lambda_: float) -> np.ndarray:
    """V (D, A) for features (N, D), labels (N,) of 0 .. Z - 1 and signatures (Z, A) of these classes.

    X'X and S'S are divided by their number of rows, so that a strength means the same for more images or classes.
    """
    gram, middle = features.T @ features / len(features), _middle(features, labels, signatures)
    return _ridge(gram, gamma, middle) @ _inverse(signatures, lambda_)


def _middle(features: np.ndarray, labels: np.ndarray, signatures: np.ndarray) -> np.ndarray:
    """X' Y S / (N Z), (D, A)."""
    targets = np.where(labels[:, None] == np.arange(len(signatures)), 1.0, -1.0)
    return features.T @ (targets @ signatures) / (len(features) * len(signatures))


def _ridge(gram: np.ndarray, gamma: float, middle: np.ndarray) -> np.ndarray:
    """(X'X / N + gamma I)^-1 times `middle`, (D, A)."""
    from scipy.linalg import solve as solve_positive

    return solve_positive(gram + gamma * np.eye(len(gram)), middle, assume_a="pos")


def _inverse(signatures: np.ndarray, lambda_: float) -> np.ndarray:
    """(S'S / Z + lambda I)^-1, (A, A)."""
    return np.linalg.inv(signatures.T @ signatures / len(signatures) + lambda_ * np.eye(signatures.shape[1]))


def choose(features: np.ndarray, labels: np.ndarray, signatures: np.ndarray, *, held_out: int, seed: int) -> Chosen:
    """The strengths with which seen classes that were held out, `held_out` at a time, are told apart best.

    The unseen classes play no part. `labels` (N,) are 0 .. Z - 1, the rows of `signatures` (Z, A).
    """
    draws, whole = list(_draws(len(signatures), held_out, seed)), features.T @ features
    found = dict.fromkeys(((gamma, lambda_) for gamma in STRENGTHS for lambda_ in STRENGTHS), 0.0)
    for classes in draws:
        others, test = np.setdiff1d(np.arange(len(signatures)), classes), np.isin(labels, classes)
        images, truth = features[test], np.searchsorted(classes, labels[test])
        gram = (whole - images.T @ images) / np.count_nonzero(~test)
        middle = _middle(features[~test], np.searchsorted(others, labels[~test]), signatures[others])
        for gamma in STRENGTHS:
            attributes = images @ _ridge(gram, gamma, middle)
            for lambda_ in STRENGTHS:
                scores = attributes @ _inverse(signatures[others], lambda_) @ signatures[classes].T
                found[gamma, lambda_] += float((scores.argmax(1) == truth).mean()) / len(draws)
    best = max(found, key=found.get)
    return Chosen(*best, found[best])


def _draws(classes: int, held_out: int, seed: int) -> Iterator[Sequence[int]]:
    """Every set of `held_out` of the classes or, if they are too many, a sample of them; at least two stay for training."""
    held_out = min(held_out, classes - 2)
    everything = list(combinations(range(classes), held_out)) if classes <= 12 else []
    if 0 < len(everything) <= VALIDATION_DRAWS:
        yield from map(list, everything)
        return
    stream = numpy_stream(seed, "unseen", 1)
    for _ in range(VALIDATION_DRAWS):
        yield np.sort(stream.permutation(classes)[:held_out]).tolist()
