"""Costs of a network cut at a layer, counted once and remembered beside its features.

Counting loads torch's flop counter. A run that only fits a classifier on known features would spend much of its time on it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from vision2.basics.atomic_write import write_json
from vision2.features.cut import LAST, CutNetwork
from vision2.features.feature_store import store_key
from vision2.models.network import Network
from vision2.models.settings import ModelConfig
from vision2.strategies.rules import stage_of


class Totals(NamedTuple):
    parameters: int
    multiply_adds: int


def remembered_costs(
    network: Network, cut: CutNetwork, model: ModelConfig, image_size_px: int, folder: Path | None
) -> Totals:
    """Parameters and multiply-adds up to the end of the stage that `cut` cuts in, and of a linear head on its features.

    `network` is the whole one; `folder` is where features are kept.
    """
    key = store_key(
        model=asdict(model),
        classes=network.num_classes,
        image_size_px=image_size_px,
        layer=cut.layer,
        d=cut.num_features,
    )
    file = folder / "costs" / f"{key}.json" if folder else None
    if file is not None:
        with suppress(OSError, ValueError, TypeError):
            return Totals(**json.loads(file.read_text(encoding="utf-8")))
    totals = _count(network, cut, image_size_px)
    if file is not None:
        write_json(file, totals._asdict())
    return totals


def _count(network: Network, cut: CutNetwork, image_size_px: int) -> Totals:
    from vision2.profiling.count import count_costs

    counted = count_costs(network, image_size_px)
    if cut.layer == LAST:
        return Totals(counted.parameters, counted.multiply_adds)
    last = cut.layer if cut.layer in network.stages else stage_of(f"backbone.{cut.layer}", network.stages)
    stages = [row.stage for row in counted.stages]
    used = counted.stages[: stages.index(last) + 1]
    weights = cut.num_features * network.num_classes
    return Totals(
        sum(row.parameters for row in used) + weights + network.num_classes,
        sum(row.multiply_adds for row in used) + weights,
    )
