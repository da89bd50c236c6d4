"""ConSE: place an image among word vectors by a network's own class probabilities (Norouzi et al. 2014, arXiv 1312.5650).

The embedding of an image is the mean of the vectors of its T most probable known classes, weighted by their probabilities
(equation 4); the predicted class is the target whose name has the most similar vector, by cosine (equation 5).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TOP = 10  # T; the paper's best value


def conse_embedding(probabilities: np.ndarray, vectors: np.ndarray, top: int = TOP) -> np.ndarray:
    """Unit vectors (N, D) from probabilities (N, K) of the known classes and the vectors (K, D) of their names."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    weights = np.take_along_axis(probabilities, order, axis=1)
    mean = np.einsum("nt,ntd->nd", weights / weights.sum(1, keepdims=True), unit(vectors)[order])
    return unit(mean)


def conse_scores(probabilities: np.ndarray, known: np.ndarray, targets: np.ndarray, top: int = TOP) -> np.ndarray:
    """Cosine similarities (N, C) of images and target classes.

    Args:
        probabilities: (N, K) of the known classes.
        known: (K, D) vectors of their names.
        targets: (C, D) vectors of the target classes' names.
    """
    return conse_embedding(probabilities, known, top) @ unit(targets).T


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1; zero rows stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def split_known(targets: Sequence[str], known: Sequence[str]) -> tuple[list[str], list[str]]:
    """The targets whose exact name is among the known classes, whatever its case and separators, and the others."""
    names = {plain_name(name) for name in known}
    return [t for t in targets if plain_name(t) in names], [t for t in targets if plain_name(t) not in names]


def plain_name(name: str) -> str:
    """`Sea_Lion` and `sea-lion` become `sea lion`."""
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())
