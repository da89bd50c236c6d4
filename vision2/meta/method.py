"""The interface of a method: how it classifies the query images of an episode, given its support images."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from vision2.data.episodes import Shape
from vision2.models.network import Network


class Method(Protocol):
    """Classifies episodes with a network."""

    def logits(self, network: Network, images: Tensor, shape: Shape) -> Tensor:
        """Images of an episode (way * shot + way * query, 3, S, S), support first -> logits of its queries (Q, way)."""


class EmbeddingMethod:
    """A method that compares features, which do not depend on the episode: each image is embedded only once."""

    def classify(self, support: Tensor, query: Tensor) -> Tensor:
        """Features of the support (way, shot, D) and of the queries (Q, D) -> logits (Q, way)."""
        raise NotImplementedError

    def logits(self, network: Network, images: Tensor, shape: Shape) -> Tensor:
        features = network.features(images).float()
        support, query = features.tensor_split([shape.way * shape.shot])
        return self.classify(support.unflatten(0, (shape.way, shape.shot)), query)


def similarity(a: Tensor, b: Tensor, distance: str) -> Tensor:
    """(N, D), (M, D) -> (N, M): minus the squared Euclidean distance, or the cosine of the angle."""
    if distance == "cosine":
        return torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T
    return 2 * a @ b.T - a.square().sum(1, keepdim=True) - b.square().sum(1)
