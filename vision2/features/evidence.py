"""Measurements behind the advice: the number of images, and how much pretrained features help on a sample of them."""

from __future__ import annotations

import numpy as np

from vision2.basics.errors import UserError
from vision2.basics.randomness import numpy_stream
from vision2.data.collection import or_leave_out
from vision2.data.dataset import Dataset, Split
from vision2.data.settings import DatasetConfig
from vision2.features.advice import Evidence
from vision2.features.compute import FeatureMaker, features_cache
from vision2.features.transferability import transferability
from vision2.models.cut import LAST
from vision2.models.network import Network
from vision2.models.settings import ModelConfig
from vision2.training.parameter_plan import backbone_stages

MAX_LAYERS = 10  # scored in addition to the last one


def measure_evidence(
    data: Dataset,
    network: Network,
    untrained: Network,
    *,
    model: ModelConfig,
    dataset: DatasetConfig,
    sample: int,
    seed: int,
) -> Evidence:
    """Score the layers of the pretrained network and the last layer of the untrained one on a sample of the training images.

    Raises:
        UserError: when a class has fewer than two training images.
    """
    split = sample_of(data.train, max(sample, 2 * len(data.classes)), seed)
    counts = np.bincount(data.train.labels, minlength=len(data.classes))
    if np.bincount(split.labels, minlength=len(data.classes)).min() < 2:
        rare = [name for name, count in zip(data.classes, counts, strict=True) if count < 2]
        raise UserError(
            f"the advice needs at least 2 training images per class, but '{data.classes[counts.argmin()]}' has {counts.min()};"
            f" use more of its images (dataset.fraction, dataset.shots_per_class){or_leave_out(rare, data.classes)}"
        )

    def scores(net: Network, layers: list[str]) -> dict[str, dict[str, float]]:
        found = FeatureMaker(net, model, layers, folder=features_cache(dataset)).features(split)
        return {layer: transferability(found[layer][0].numpy(), split.labels, seed) for layer in layers}

    stages = backbone_stages(network.stages)
    chosen = sorted(set(np.linspace(0, len(stages) - 1, min(MAX_LAYERS, len(stages))).round().astype(int).tolist()))
    return Evidence(
        images_per_class=int(np.median(counts)),
        smallest_class=int(counts.min()),
        classes=len(data.classes),
        sample=len(split.labels),
        scores=scores(network, [*(stages[index] for index in chosen), LAST]),
        untrained=scores(untrained, [LAST])[LAST],
    )


def sample_of(split: Split, size: int, seed: int) -> Split:
    """At most `size` images drawn at random, as evenly over the classes as their sizes allow."""
    order = numpy_stream(seed, "probe").permutation(len(split.labels))
    ranks = np.empty(len(order), dtype=np.int64)  # position of each image within its class, in random order
    for label in np.unique(split.labels):
        members = order[split.labels[order] == label]
        ranks[members] = np.arange(len(members))
    kept = np.sort(order[np.argsort(ranks[order], kind="stable")][:size])
    return split.select(kept)
