"""The loss that is minimised, and the plain cross-entropy that is reported with it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from vision2.models.network import Output


class Losses(NamedTuple):
    """Means over a batch: `objective` is minimised; `plain` is the cross-entropy of the main head, as in validation.

    `divisor` is the denominator of the mean `objective`: the number of images, or the sum of their class weights.
    """

    objective: Tensor
    plain: Tensor
    divisor: Tensor | float


class Objective:
    """Cross-entropy of the main head plus `aux_weight` times that of each auxiliary classifier.

    Label smoothing spreads its share evenly over the classes (Szegedy et al. 2016, section 7). A class weight multiplies the
    whole loss of an image, the smoothed part included, so that smoothing never rewards predicting a rare class.
    """

    def __init__(self, *, class_weights: Tensor | None, label_smoothing: float, aux_weight: float):
        self.class_weights, self.label_smoothing, self.aux_weight = class_weights, label_smoothing, aux_weight

    def __call__(self, output: Output, targets: Tensor) -> Losses:
        """`targets` are classes (N,), or class probabilities (N, K) when images are mixed."""
        main, divisor = self._mean(output.logits.float(), targets)
        total = main
        for logits in output.aux.values():
            total = total + self.aux_weight * self._mean(logits.float(), targets)[0]
        plain = main.detach()
        if self.class_weights is not None or self.label_smoothing:
            plain = cross_entropy(output.logits.detach().float(), targets)
        return Losses(total, plain, divisor)

    def _mean(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | float]:
        if self.class_weights is None:
            return cross_entropy(logits, targets, label_smoothing=self.label_smoothing), float(len(targets))
        weights = self.class_weights[targets] if targets.ndim == 1 else targets @ self.class_weights
        losses = cross_entropy(logits, targets, reduction="none", label_smoothing=self.label_smoothing)
        return (losses * weights).sum() / weights.sum(), weights.sum()


def hits(logits: Tensor, targets: Tensor) -> Tensor | None:
    """Number of correctly classified images of a batch; None when images are mixed and have no single label."""
    return (logits.detach().argmax(1) == targets).sum() if targets.ndim == 1 else None


def zero(device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros((), device=device, dtype=dtype)
