"""Matching networks (Vinyals et al. 2016, arXiv 1606.04080): attention over the support images.

Without full context embeddings: an image is embedded on its own, not in view of the whole support.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vision2.meta.method import EmbeddingMethod, similarity

SMALLEST = 1e-12  # of a probability: the logarithm stays finite when the attention to a class underflows


class Attention(EmbeddingMethod):
    """A query has the labels of the support images, weighted by attention (eq. 1 and 2); `distance`: cosine | euclidean."""

    def __init__(self, distance: str):
        self.distance = distance

    def classify(self, support: Tensor, query: Tensor) -> Tensor:
        """Features (way, shot, D) and (Q, D) -> log of the attention to each class (Q, way)."""
        way, shot, _ = support.shape
        attention = similarity(query, support.flatten(0, 1), self.distance).softmax(1)
        return torch.log(attention.unflatten(1, (way, shot)).sum(2).clamp_min(SMALLEST))
