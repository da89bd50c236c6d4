"""What `python -m vision2.summary` leaves for TensorBoard: the graph of each model, and the picture of them all."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from vision2.inference.exported import Probabilities, example_images
from vision2.models.build import build_model
from vision2.models.cards import card_for
from vision2.models.settings import ModelConfig
from vision2.runs.tensorboard import TensorBoardTracker


def write_tensorboard(
    folder: Path, picture: Path | None, graphs: dict[str, ModelConfig], sizes_px: dict[str, int]
) -> None:
    """The picture goes to `folder`, each graph to a run of its own below it: TensorBoard shows one graph a run."""
    if picture is not None:
        with TensorBoardTracker(folder) as tracker:
            tracker.log_png("accuracy against cost", picture)
    for label, model in graphs.items():
        classes = card_for(model).num_classes
        network = build_model(replace(model, aux=False), classes, seed=0, image_size_px=sizes_px[label])
        with TensorBoardTracker(folder / label) as tracker, warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # torch's tracer, the only thing TensorBoard's graphs are made by
            tracker.writer.add_graph(Probabilities(network), example_images(sizes_px[label]))
