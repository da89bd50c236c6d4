"""Fine-tune the last stages on stored outputs of the frozen ones, which then run once per image instead of once per epoch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from vision2.data.augment.text import describe_augment
from vision2.features.compute import maker_for, restore_backbone
from vision2.features.feature_batches import FeatureBatches
from vision2.models.cut import layer_outputs
from vision2.models.fusing import TOLERANCE, agree
from vision2.models.network import Network, Output
from vision2.training.epochs import EpochFit, fit_on_images
from vision2.training.fit import Task
from vision2.training.parameter_plan import Rule, backbone_stages, plan_parameters

MAX_BYTES = 2 * 10**9  # of all stored outputs; more would not fit in a laptop's memory beside the training itself


def fit_after_frozen_stages(task: Task, rules: Sequence[Rule]) -> EpochFit | None:
    """Compute or look up the outputs of the frozen first stages and set up training of the others on them.

    Returns None where the whole network has to run in every epoch: no stage stays frozen, the images are augmented, or
    the outputs are too large or do not determine the rest of the pass.
    """
    network, train = task.network, task.train
    if task.data.new_classes:  # episodes are measured on images
        return None
    if train.compile or train.epochs < 2 or network.aux_linears or describe_augment(task.dataset.augment) != "none":
        return None
    restore_backbone(task)
    frozen = _frozen_stages(task, rules)
    modules = [name for stage in frozen for name in network.stage_modules(stage)]
    if not modules or not set(modules) <= dict(network.named_modules()).keys():
        return None
    shape = _stored_shape(network, frozen[-1], modules)
    splits = (task.data.train, task.data.val, task.data.test)
    if shape is None or 4 * shape.numel() * sum(map(len, splits)) > MAX_BYTES:
        return None
    maker = maker_for(task, [frozen[-1]], pooling="flattened")
    size, shared = task.images["train"].batch_size, {"device": task.device, "seed": task.seed}
    batches = {
        split.name: FeatureBatches(
            maker.features(split)[frozen[-1]], split.labels, batch_size=size,
            shuffle=split.name == "train", sampler=train.sampler if split.name == "train" else "shuffle", **shared,
        )
        for split in splits
    }  # fmt: skip
    print(f"frozen stages {frozen[0]} to {frozen[-1]} run once per image: {maker.images_computed} computed", flush=True)
    return fit_on_images(task, rules, stored=batches, forward=lambda trained: remainder(trained, modules, shape))


def _frozen_stages(task: Task, rules: Sequence[Rule]) -> list[str]:
    """The first stages of the backbone, up to the first one in which any parameter is ever trained."""
    learning = {entry.stage for entry in plan_parameters(task.network, rules, task.strategy) if entry.learns_from is not None}
    stages = backbone_stages(task.network.stages)
    return stages[: next((i for i, stage in enumerate(stages) if stage in learning), len(stages))]


@torch.no_grad()
def _stored_shape(network: Network, stage: str, modules: Sequence[str]) -> torch.Size | None:
    """The shape (C, H, W) of the output of `stage` if the rest of the pass needs nothing else, found on random images."""
    copied, size = copy.deepcopy(network).eval(), network.preprocessing.image_size_px
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    images = images.to(next(network.parameters()).device)
    outputs: list[Tensor] = []
    hook = copied.module_at(stage).register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    expected = copied(images).logits
    hook.remove()
    if len(outputs) != 1 or not isinstance(outputs[0], Tensor):
        return None
    shape, rows = outputs[0].shape[1:], layer_outputs(copied, [stage], images, "flattened")[0]
    try:
        found = remainder(copied, modules, shape)(rows).logits
    except (RuntimeError, TypeError, ValueError):  # the rest also reads an earlier output, or has other arguments
        return None
    return shape if agree(expected, found, TOLERANCE) else None


def remainder(network: Network, modules: Sequence[str], shape: torch.Size) -> Callable[[Tensor], Output]:
    """The pass from stored outputs (B, C * H * W) to logits, in which the frozen `modules` return their input."""

    def run(rows: Tensor) -> Output:
        outputs = rows.reshape(len(rows), *shape)
        if outputs.ndim == 4:
            outputs = outputs.contiguous(memory_format=torch.channels_last)
        with _passing_through(network, modules):
            return network(outputs)

    return run


@contextmanager
def _passing_through(network: Network, modules: Sequence[str]) -> Iterator[None]:
    replaced = [network.get_submodule(name) for name in modules]
    before = [vars(module).get("forward") for module in replaced]
    try:
        for module in replaced:
            module.forward = lambda values: values
        yield
    finally:
        for module, forward in zip(replaced, before, strict=True):
            del module.forward
            if forward is not None:
                module.forward = forward
