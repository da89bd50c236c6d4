"""First-order MAML (Finn, Abbeel and Levine 2017, arXiv 1703.03400, section 5.2): a start from which few steps suffice.

The network is adapted to the support of an episode by a few steps of gradient descent and then classifies the queries.
Training moves the start along the gradient of the query loss at the adapted weights, as if the steps were constants.

Unlike in the paper, the linear layer after the features starts from zero in every episode (Kao et al. 2022, arXiv
2106.15367), so that one network can be used with any number of ways. As in the paper, batch norm uses the statistics of the
images it is given, so queries are classified together.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy, linear

from vision2.data.episodes import Shape
from vision2.models.network import Network

Tensors = dict[str, Tensor]


class FirstOrderMAML:
    """Adapts a network by `steps` steps of size `lr` and classifies with the adapted one."""

    def __init__(self, *, steps: int, lr: float):
        self.steps, self.lr = steps, lr

    def logits(self, network: Network, images: Tensor, shape: Shape) -> Tensor:
        """(way * shot + way * query, 3, S, S) -> (Q, way).

        As a function of the network's parameters, the result has the gradient of first-order MAML: that of the adapted
        parameters, because each is a parameter plus a constant.
        """
        support, query = images.tensor_split([shape.way * shape.shot])
        labels = torch.arange(shape.way, device=images.device).repeat_interleave(shape.shot)
        before = network.training
        network.backbone.train()
        start = {name: p for name, p in network.named_parameters() if name.startswith("backbone.")}
        change, head = self._adapted(network, start, support, labels)
        adapted = {name: p + change[name] if name in change else p for name, p in start.items()}
        logits = linear(_features(network, adapted, query), *head)
        network.train(before)
        return logits

    def _adapted(self, network: Network, start: Tensors, support: Tensor, labels: Tensor) -> tuple[Tensors, list[Tensor]]:
        """The change of each trained parameter, and weight (way, D) and bias (way,) of the linear layer, as constants."""
        with torch.enable_grad():
            weights = {name: p.detach().requires_grad_(p.requires_grad) for name, p in start.items()}
            way, features = int(labels[-1]) + 1, None
            head: list[Tensor] = []
            for _ in range(self.steps):
                features = _features(network, weights, support)
                if not head:
                    zeros = features.new_zeros(way, features.shape[1]), features.new_zeros(way)
                    head = [tensor.requires_grad_() for tensor in zeros]
                learning = {name: p for name, p in weights.items() if p.requires_grad}
                loss = cross_entropy(linear(features, *head), labels)
                gradients = torch.autograd.grad(loss, [*learning.values(), *head])
                moved = [
                    (p - self.lr * gradient).detach().requires_grad_()
                    for p, gradient in zip([*learning.values(), *head], gradients, strict=True)
                ]
                weights |= dict(zip(learning, moved, strict=False))
                head = moved[len(learning) :]
        change = {name: (p - start[name]).detach() for name, p in weights.items() if p.requires_grad}
        return change, [tensor.detach() for tensor in head]


def _features(network: Network, weights: Tensors, images: Tensor) -> Tensor:
    """Features (N, D) with other weights; the network's own batch-norm statistics are left unchanged."""
    own = {name: buffer.clone() for name, buffer in network.named_buffers() if name.startswith("backbone.")}
    backbone = {name.removeprefix("backbone."): value for name, value in (weights | own).items()}
    result = functional_call(network.backbone, backbone, (images,))
    return (result if isinstance(result, Tensor) else result[0]).float()
