"""Classifiers for a few labelled images, without a validation split: whatever they need is fixed here.

All but `soft_kmeans` have the name they have as `strategy.classifier`. Each maps support features (N, D), their labels (N,)
from 0 and query features (M, D) to scores (M, K).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from vision2.basics.errors import UserError, suggest
from vision2.features.classifiers import fit_unit_vectors
from vision2.models.heads import COSINE, COSINE_SCALE, EUCLIDEAN, prototype_head

# For features of length 1, so that they suit any network: C of logistic regression, alpha of ridge, neighbours of k-NN.
UNIT_VECTOR_SETTINGS = {"logistic": 10.0, "ridge": 0.1, "knn": 1}

Scores = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@torch.inference_mode()
def nearest_centroid(support: np.ndarray, labels: np.ndarray, queries: np.ndarray, *, distance: str) -> np.ndarray:
    """Negative distances to the class means (Snell et al. 2017, eq. 1 and 2), as `predict support=` has them."""
    head = prototype_head(*map(torch.from_numpy, (support, labels)), int(labels.max()) + 1, distance)
    return head(torch.from_numpy(queries)).numpy()


@torch.inference_mode()
def fitted(support: np.ndarray, labels: np.ndarray, queries: np.ndarray, *, name: str) -> np.ndarray:
    """Scores of a classifier of `strategy.classifier`, on features of length 1 and with a fixed setting."""
    head = fit_unit_vectors(name, unit(support), labels, UNIT_VECTOR_SETTINGS[name])
    return head(torch.from_numpy(unit(queries))).numpy()


def soft_kmeans(support: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Nearest centroid by cosine after the queries have moved the centroids (Ren et al. 2018, arXiv 1803.00676, eq. 2 and 3).

    Transductive: a prediction depends on the other queries, each of which counts in every mean with the probability of that
    class. One step, as in the paper, but with the softmax of cosine similarities.
    """
    support, queries = unit(support), unit(queries)
    shares = np.eye(int(labels.max()) + 1, dtype=np.float32)[labels]
    logits = COSINE_SCALE * queries @ unit(shares.T @ support).T
    soft = np.exp(logits - logits.max(1, keepdims=True))
    soft /= soft.sum(1, keepdims=True)
    return queries @ unit(shares.T @ support + soft.T @ queries).T  # of the sum as of the mean: only its direction counts


CLASSIFIERS: dict[str, Scores] = {
    "centroid": partial(nearest_centroid, distance=EUCLIDEAN),
    "centroid_cosine": partial(nearest_centroid, distance=COSINE),
    **{name: partial(fitted, name=name) for name in UNIT_VECTOR_SETTINGS},
    "soft_kmeans": soft_kmeans,
}


def chosen_classifiers(text: str) -> list[str]:
    """The names in `centroid,ridge`, in order. Raises UserError for an unknown one."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    problems = [
        f"classifiers: there is no '{name}'{suggest(name, CLASSIFIERS, otherwise='')} (allowed: {', '.join(CLASSIFIERS)})"
        for name in names
        if name not in CLASSIFIERS
    ]
    if problems:
        raise UserError(*problems)
    return names


def unit(vectors: np.ndarray) -> np.ndarray:
    """Each row (N, D) divided by its length."""
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
