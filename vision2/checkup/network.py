"""Checks of the network before it learns: its outputs, its loss, and its two modes."""

from __future__ import annotations

import math

import torch
from torch import nn

from vision2.checkup.finding import Finding, judged, worst
from vision2.checkup.restoring import restored, some, training
from vision2.data.batches import Batch
from vision2.training.learner import Learner
from vision2.training.parameter_plan import NORMS

PART = "network"
SIXTEENTH = 16  # images
# Relative to ln C. Untrained residual networks with fixed statistics start at 1.7; four times as much is confident nonsense.
FAR, TOO_FAR = 2.0, 4.0
EQUAL = 1e-3  # relative difference of logits that rounding explains
RANDOM_DEPTH = ("DropPath", "StochasticDepth")  # of timm and torchvision


def check_network(learner: Learner, batch: Batch, *, new_head: bool) -> list[Finding]:
    """The checks that need no update. `new_head`: the head has random weights."""
    return [
        check_first_loss(learner, batch, new_head=new_head),
        check_logits(learner, batch),
        check_input_matters(learner, batch),
        check_single_image(learner, batch),
        check_modes(learner, batch),
    ]


@torch.no_grad()
def check_first_loss(learner: Learner, batch: Batch, *, new_head: bool) -> Finding:
    """The loss at the start, which is ln C if all classes are equally likely (Karpathy 2019, A Recipe for Training Neural
    Networks, "verify loss @ init").
    """
    with training(learner):
        plain = some(batch, len(batch.labels))
        loss = float(learner.objective(learner.forward(plain.images), plain.targets).plain)
    wanted = math.log(learner.network.num_classes)
    low = new_head and loss < wanted / FAR
    return judged(
        PART, "loss at the start", worst(not loss < TOO_FAR * wanted, low or loss > FAR * wanted),
        seen=f"{loss:.3f}; ln {learner.network.num_classes} = {wanted:.3f}",
        why="a network that knows nothing should give every class the same probability; a much larger loss is spent"
        " unlearning confident nonsense",
        todo="lower the initial weights of the last layer, or check normalisation and the loss",
    )  # fmt: skip


@torch.no_grad()
def check_logits(learner: Learner, batch: Batch) -> Finding:
    """Whether cross-entropy gets logits: probabilities are between 0 and 1 and add up to 1."""
    with training(learner):
        outputs = learner.forward(some(batch, SIXTEENTH).images).logits.float()
    sums = outputs.sum(1)
    twice = bool((outputs >= 0).all() and (outputs <= 1).all() and (sums - 1).abs().max() < EQUAL)
    return judged(
        PART, "the loss gets logits", worst(twice or not bool(outputs.isfinite().all())),
        seen=f"outputs from {float(outputs.min()):.3g} to {float(outputs.max()):.3g}"
        + (", which add up to 1 for each image: they are probabilities" if twice else ""),
        why="cross-entropy applies softmax itself; applied twice, the loss cannot fall to 0 and gradients vanish",
        todo="remove the softmax from the network or from the training step",
    )  # fmt: skip


@torch.no_grad()
def check_input_matters(learner: Learner, batch: Batch) -> Finding:
    """Whether different images give different outputs."""
    with training(learner):
        outputs = learner.forward(some(batch, SIXTEENTH).images).logits.float()
    spread = float((outputs - outputs.mean(0)).abs().max())
    scale = float(outputs.abs().max())
    return judged(
        PART, "output changes with input", worst(not spread > 1e-6 * scale),
        seen=f"outputs of {len(outputs)} images differ by up to {spread:.2g}",
        why="a network whose output does not depend on the image can only learn how frequent each class is",
        todo="look for a layer whose output is constant (python -m vision2.summary shows the layers), or a learning rate of 0",
    )  # fmt: skip


@torch.no_grad()
def check_single_image(learner: Learner, batch: Batch) -> Finding:
    """Whether one image by itself gets the same answer as within a batch."""
    network, problem, off = learner.network, "", math.inf
    with restored(learner):
        network.eval()
        images = some(batch, SIXTEENTH).images
        try:
            off = _difference(network(images[:1]).logits, network(images).logits[:1])
        except (RuntimeError, ValueError) as error:
            problem = str(error).splitlines()[0]
    return judged(
        PART, "a batch of one", worst(not off < EQUAL),
        seen=problem or f"logits alone and within a batch differ by {off:.1g} (relative)",
        why="a prediction must not depend on the other images that happen to be in the batch",
        todo="look for a layer that uses the batch in evaluation mode, such as batch norm without running statistics",
    )  # fmt: skip


@torch.no_grad()
def check_modes(learner: Learner, batch: Batch) -> Finding:
    """Whether training and evaluation mode differ in dropout, stochastic depth and norms only."""
    network = learner.network
    with restored(learner):
        images = some(batch, SIXTEENTH).images
        expected = network.eval()(images).logits
        network.train()
        for module in network.modules():
            if isinstance(module, (nn.modules.dropout._DropoutNd, *NORMS)) or type(module).__name__ in RANDOM_DEPTH:
                module.eval()
        off = _difference(network(images).logits, expected)
    return judged(
        PART, "two modes, one function", worst(not off < EQUAL),
        seen=f"without dropout and batch norm, the modes differ by {off:.1g} (relative)",
        why="what is evaluated is not what was trained",
        todo="look for code that asks self.training",
    )  # fmt: skip


def _difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference relative to the largest value; infinite if a value is not finite."""
    off = float((found.float() - expected.float()).abs().max() / expected.float().abs().max().clamp_min(1e-6))
    return off if math.isfinite(off) else math.inf
