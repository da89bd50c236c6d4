"""Prototypical networks (Snell, Swersky and Zemel 2017, arXiv 1703.05175): the nearest class mean.

With a network that was trained in another way, this is the nearest-centroid classifier on its features.
"""

from __future__ import annotations

from torch import Tensor

from vision2.meta.method import EmbeddingMethod, similarity


class Prototypes(EmbeddingMethod):
    """A prototype is the mean of the features of a class's support (eq. 1); `distance`: euclidean (squared) | cosine."""

    def __init__(self, distance: str):
        self.distance = distance

    def classify(self, support: Tensor, query: Tensor) -> Tensor:
        """Features (way, shot, D) and (Q, D) -> similarities to the prototypes (Q, way), whose softmax is eq. 2."""
        return similarity(query, support.mean(1), self.distance)
