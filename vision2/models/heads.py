"""Classifiers on features, as modules that a checkpoint can store and any network can use as its head.

Each standardises features (B, D) with statistics of the training set and returns logits (B, K), whose softmax gives the
class probabilities.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vision2.basics.errors import UserError

CHUNK = 1024  # rows that are compared with all training features at a time
EUCLIDEAN, COSINE = DISTANCES = ("euclidean", "cosine")  # from an image's features to the prototype of a class
# Logits are this many times the cosine similarity. On 5-way episodes of ImageNet features of plants, digits, characters, cats
# and dogs, 1 and 5 shots, 20 has the lowest mean log loss of 5, 10, 20, 40 and 60; the mean confidence is then off by 1 to 33
# points, in either direction.
COSINE_SCALE = 20.0
PRIOR_IMAGES = 20  # weight of the mean variance, as a number of images


class Head(nn.Module):
    """Standardises features, scores the classes and scales the scores; `kind` identifies the class in a checkpoint."""

    kind: str

    def __init__(self, width: int):
        super().__init__()
        self.in_features = width
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.register_buffer("scale", torch.ones(()))  # inverse temperature of the softmax

    def scores(self, standardised: Tensor) -> Tensor:
        """Standardised features (B, D) -> scores (B, K)."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        return self.scale * self.scores((features - self.mean) / self.std)

    def standardise_by(self, features: Tensor) -> None:
        """Set mean and standard deviation from the training features (N, D).

        The variance over a few images is mostly noise, and 0 for a feature that none of them shows. Each is therefore
        shrunk towards the mean variance, which counts as `PRIOR_IMAGES` images and is outweighed by hundreds of them.
        """
        var, mean = torch.var_mean(features.double(), 0, correction=0)
        shrunk = (len(features) * var + PRIOR_IMAGES * var.mean()) / (len(features) + PRIOR_IMAGES)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(shrunk > 0, shrunk, 1.0).sqrt())


class StandardizedLinear(Head):
    """Logits W x + b, the form of fitted linear, logistic, SVM, ridge, LDA and nearest-centroid classifiers."""

    kind = "affine"

    def __init__(self, width: int, num_classes: int):
        super().__init__(width)
        self.out_features = num_classes
        self.weight = nn.Parameter(torch.zeros(num_classes, width))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def scores(self, standardised: Tensor) -> Tensor:
        return nn.functional.linear(standardised, self.weight, self.bias)

    @torch.no_grad()
    def folded(self) -> nn.Linear:
        """The same function as a plain linear layer on unstandardised features."""
        linear = nn.Linear(self.in_features, self.out_features, device=self.weight.device)
        linear.weight.copy_(self.scale * self.weight / self.std)
        linear.bias.copy_(self.scale * self.bias - linear.weight @ self.mean)
        return linear

    @classmethod
    def like(cls, state: dict[str, Tensor]) -> StandardizedLinear:
        return cls(state["weight"].shape[1], state["weight"].shape[0])


class CosineHead(Head):
    """Cosine similarity to the prototype of each class, in the rows of `weight`; the least, -1, to a row of zeros."""

    kind = "cosine"

    def __init__(self, width: int, num_classes: int):
        super().__init__(width)
        self.out_features = num_classes
        self.weight = nn.Parameter(torch.zeros(num_classes, width))

    def scores(self, standardised: Tensor) -> Tensor:
        normalize = nn.functional.normalize
        found = nn.functional.linear(normalize(standardised, dim=1), normalize(self.weight, dim=1))
        return found.masked_fill((self.weight == 0).all(1), -1.0)

    @classmethod
    def like(cls, state: dict[str, Tensor]) -> CosineHead:
        return cls(state["weight"].shape[1], state["weight"].shape[0])


class MLPHead(Head):
    """One hidden layer with ReLU."""

    kind = "perceptron"

    def __init__(self, width: int, hidden: int, num_classes: int):
        super().__init__(width)
        self.out_features = num_classes
        self.hidden, self.output = nn.Linear(width, hidden), nn.Linear(hidden, num_classes)

    def scores(self, standardised: Tensor) -> Tensor:
        return self.output(self.hidden(standardised).relu())

    @classmethod
    def like(cls, state: dict[str, Tensor]) -> MLPHead:
        hidden, width = state["hidden.weight"].shape
        return cls(width, hidden, state["output.weight"].shape[0])


class KNNHead(Head):
    """k nearest training images by Euclidean distance between standardised features, with smoothed votes."""

    kind = "neighbours"

    def __init__(self, width: int, num_images: int, num_classes: int):
        super().__init__(width)
        self.out_features = num_classes
        self.register_buffer("known", torch.zeros(num_images, width))  # standardised
        self.register_buffer("labels", torch.zeros(num_images, dtype=torch.long))
        self.register_buffer("neighbours", torch.ones((), dtype=torch.long))
        self.register_buffer("classes", torch.zeros(num_classes))  # its length is the class count

    def scores(self, standardised: Tensor) -> Tensor:
        """Log of (votes + 1/K) / (k + 1); ties are decided by the nearer neighbours."""
        k, classes = int(self.neighbours), self.out_features
        nearest = [torch.cdist(part, self.known).topk(k, largest=False) for part in standardised.split(CHUNK)]
        labels = self.labels[torch.cat([found.indices for found in nearest])]
        weights = (1 + 1e-4 * torch.linspace(1, 0, k, device=labels.device)).expand(labels.shape)
        votes = torch.zeros(len(labels), classes, device=labels.device).scatter_add_(1, labels, weights)
        return ((votes + 1 / classes) / (k + 1)).log()

    @classmethod
    def like(cls, state: dict[str, Tensor]) -> KNNHead:
        return cls(state["known"].shape[1], state["known"].shape[0], len(state["classes"]))


class NoHead(Head):
    """Returns the features themselves: of a network that compares images instead of naming fixed classes."""

    kind = "none"

    def __init__(self, width: int):
        super().__init__(width)
        self.out_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features

    @classmethod
    def like(cls, state: dict[str, Tensor]) -> NoHead:
        return cls(len(state["mean"]))


@torch.no_grad()
def prototype_head(features: Tensor, labels: Tensor, num_classes: int, distance: str) -> Head:
    """The head of a prototypical network (Snell et al. 2017, eq. 1 and 2): logits are negative distances to class means.

    Squared Euclidean distances are not scaled, as in the paper. Cosine distances are multiplied by `COSINE_SCALE`. Terms that
    all classes share are left out, because they cancel in the softmax: -|x - c|^2 becomes 2 c.x - |c|^2.

    Args:
        features: (N, D), not standardised.
        labels: (N,) int64; for Euclidean distances, every class has at least one image.
    """
    sums = features.new_zeros(num_classes, features.shape[1]).index_add_(0, labels, features)
    means = sums / labels.bincount(minlength=num_classes).clamp_min(1)[:, None]
    if distance == COSINE:
        head = CosineHead(features.shape[1], num_classes)
        head.weight.copy_(means)
        head.scale.fill_(COSINE_SCALE)
        return head
    head = StandardizedLinear(features.shape[1], num_classes)
    head.weight.copy_(2 * means)
    head.bias.copy_(-means.square().sum(1))
    return head


KINDS: dict[str, type[Head]] = {head.kind: head for head in (StandardizedLinear, CosineHead, MLPHead, KNNHead, NoHead)}
LINEAR = "linear"  # a plain nn.Linear: a network's own head, or a folded `StandardizedLinear`


def kind_of(head: nn.Module) -> str:
    return head.kind if isinstance(head, Head) else LINEAR


def is_differentiable(head: nn.Module) -> bool:
    """Whether gradients flow through it, as attribution maps require; votes have none."""
    return not isinstance(head, KNNHead)


def empty_head(kind: str, state: dict[str, Tensor]) -> nn.Module:
    """A new head that `state` (a head's state dict) can be loaded into.

    Raises:
        UserError: for an unknown kind, or tensors that do not belong to that kind.
    """
    if kind not in (*KINDS, LINEAR):
        raise UserError(
            f"the checkpoint's classifier is of the unknown kind '{kind}' (known: {', '.join((*KINDS, LINEAR))});"
            " use the version of vision2 that wrote it, or train again"
        )
    try:
        return nn.Linear(*reversed(state["weight"].shape)) if kind == LINEAR else KINDS[kind].like(state)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise UserError(
            f"the checkpoint is damaged: its tensors do not form a classifier of kind '{kind}';"
            " use another checkpoint or train again"
        ) from error
