"""Costs of a network, counted once and remembered beside its features.

Counting loads torch's compiler. A run that trains anything loads it anyway; one that only fits a classifier on known
features would spend a quarter of its time on that.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from vision2.basics.files import write_json
from vision2.config.schema import ModelConfig
from vision2.models.count import count_costs
from vision2.models.network import Network
from vision2.transfer.feature_store import store_key


class Totals(NamedTuple):
    parameters: int
    multiply_adds: int


def remembered_costs(network: Network, model: ModelConfig, image_size_px: int, folder: Path | None) -> Totals:
    """Parameters and multiply-adds as `count_costs` gives them; `folder` is where features are kept."""
    key = store_key(model=asdict(model), classes=network.num_classes, image_size_px=image_size_px)
    file = folder / "costs" / f"{key}.json" if folder else None
    if file is not None:
        with suppress(OSError, ValueError, TypeError):
            return Totals(**json.loads(file.read_text(encoding="utf-8")))
    counted = count_costs(network, image_size_px)
    totals = Totals(counted.parameters, counted.multiply_adds)
    if file is not None:
        write_json(file, totals._asdict())
    return totals
