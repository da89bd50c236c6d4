"""Train on episodes: an epoch is a number of episodes, each of which is one step, or a part of one (train.accumulate)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from vision2.basics.errors import UserError
from vision2.data.episode_batches import EpisodeBatches
from vision2.data.episodes import Episodes, Shape, check_episodes
from vision2.meta.method import Method
from vision2.models.cut import LAST
from vision2.models.heads import NoHead
from vision2.models.network import Network, Output
from vision2.training.epochs import EpochFit, fit_on_images
from vision2.training.fit import Task
from vision2.training.parameter_plan import Rule


def fit_on_episodes(task: Task, rules: Sequence[Rule], method: Method) -> EpochFit:
    """Set up training of the network without its head, to classify the queries of episodes of the training classes.

    Raises:
        UserError: for episodes that the training split has too few classes or images for, or augmentation that mixes images.
    """
    strategy, augment = task.strategy, task.dataset.augment
    if augment.mixup or augment.cutmix:
        raise UserError(f"strategy={strategy.name} compares whole images; leave out dataset.augment.mixup and cutmix")
    if not any(True for _ in task.network.backbone.parameters()):
        raise UserError(f"{task.network.name} has no weights that strategy={strategy.name} could train; use model=conv4")
    shape = Shape(strategy.train_way, strategy.train_shot, strategy.train_query)
    keys = ("strategy.train_way", "strategy.train_shot", "strategy.train_query")
    check_episodes(task.data.train.labels, task.data.classes, shape, split="train", keys=keys)
    task = replace(task, network=without_head(task.network))
    drawn = Episodes(task.data.train.labels, shape, seed=task.seed)
    episodes = EpisodeBatches(task.images["train"], drawn, strategy.episodes_per_epoch)

    def forward(network: Network) -> Callable[[Tensor], Output]:
        return lambda images: Output(method.logits(network, images, shape), {})

    fit = fit_on_images(task, rules, forward=forward)  # in training only: they are measured on images
    return replace(
        fit, batches=task.images | {"train": episodes}, forward=None, record=without_classifier(task, task.strategy.name)
    )


def without_head(network: Network) -> Network:
    """The same network with its features as output, on the same device."""
    cut = network.cut_at(LAST, "pooled", NoHead(network.num_features))
    return cut.to(next(network.parameters()).device)


def without_classifier(task: Task, name: str) -> dict:
    """The record of a network without a head, for its checkpoint; `name` is how it classifies an episode."""
    head = task.network.head
    return {"name": name, "layer": LAST, "pooling": "pooled", "kind": head.kind, "features": head.in_features}
