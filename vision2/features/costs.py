"""Costs of a network cut at a layer, counted once and then remembered.

Counting loads torch's FLOP counter, which would take much of the time of a run that only fits a classifier on stored features.
"""

from __future__ import annotations

from dataclasses import asdict

import torch

from vision2.basics.remembered import remembered
from vision2.data.files.locations import remembered_folder
from vision2.data.settings import DatasetConfig
from vision2.models.cut import LAST
from vision2.models.network import Network
from vision2.models.settings import ModelConfig
from vision2.training.fit import Totals
from vision2.training.parameter_plan import stage_of


def remembered_costs(cut: Network, model: ModelConfig, dataset: DatasetConfig) -> Totals:
    """Parameters and multiply-adds up to the end of the stage in which `cut` ends, plus a linear head on its features."""
    size = cut.preprocessing.image_size_px
    facts = ["costs of a cut", asdict(model), cut.num_classes, size, cut.layer, cut.num_features, torch.__version__]
    return Totals(*remembered(remembered_folder(dataset.cache_dir), facts, lambda: _count(cut, model, size)))


def _count(cut: Network, model: ModelConfig, image_size_px: int) -> Totals:
    from vision2.models.build import meta_network
    from vision2.profiling.count import count_costs

    counted = count_costs(meta_network(model, cut.num_classes, image_size_px), image_size_px)
    if cut.layer == LAST:
        return Totals(counted.parameters, counted.multiply_adds)
    last = cut.layer if cut.layer in cut.stages else stage_of(f"backbone.{cut.layer}", cut.stages)
    stages = [row.stage for row in counted.stages]
    used = counted.stages[: stages.index(last) + 1]
    weights = cut.num_features * cut.num_classes
    return Totals(
        sum(row.parameters for row in used) + weights + cut.num_classes,
        sum(row.multiply_adds for row in used) + weights,
    )
