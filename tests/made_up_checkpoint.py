"""A checkpoint as a run would leave it: a tiny network that distinguishes red, green and blue pictures."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from vision2.basics.preprocessing import Preprocessing
from vision2.config.schema import Config
from vision2.models.build import build_model
from vision2.models.heads import Head, KNNHead, StandardizedLinear
from vision2.models.settings import ModelConfig
from vision2.training.checkpoint import load_checkpoint, save_checkpoint

CLASSES = ["blue", "green", "red"]  # not the order of the channels
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
SIZE_PX = 16


def colour_checkpoint(path: Path) -> Path:
    """A ResNet-20 whose first and last layers are set by hand, so that it answers with the colour of the image.

    The first channel of the stem sees red, the second green, the third blue; the shortcuts carry them through the
    blocks, whose convolutions are zero; the head reads them from the last stage.
    """
    model = ModelConfig(name="resnet20")
    network = build_model(model, len(CLASSES), seed=0, image_size_px=SIZE_PX)
    with torch.no_grad():
        for name, parameter in network.backbone.named_parameters():
            if name.endswith(".weight") and parameter.ndim == 4:
                parameter.zero_()  # every block becomes its shortcut
        network.backbone.conv1.weight[0, 0, 1, 1] = network.backbone.conv1.weight[1, 1, 1, 1] = 1.0
        network.backbone.conv1.weight[2, 2, 1, 1] = 1.0
        network.head.weight.zero_()
        # Option A pads half of the new channels in front: 16 -> 32 -> 64 moves channel c to c + 8 + 16.
        for channel, colour in enumerate(("red", "green", "blue")):
            network.head.weight[CLASSES.index(colour), channel + 24] = 3.0
        network.head.bias.zero_()
    preprocessing = Preprocessing(SIZE_PX, SIZE_PX, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    content = {
        "classes": CLASSES,
        "preprocessing": preprocessing.to_dict(),
        "model_config": asdict(model),
        "config": asdict(Config(model=model)),
        "model": network.state_dict(),
    }
    save_checkpoint(path, content)
    return path


def cut_checkpoint(path: Path, head: Head) -> Path:
    """The same network cut after its first stage (16 channels), with `head` on its output."""
    content = load_checkpoint(colour_checkpoint(path))
    content["model"] = {name: value for name, value in content["model"].items() if not name.startswith("head.")}
    content["model"] |= {f"head.{name}": value for name, value in head.state_dict().items()}
    content["classifier"] = {"kind": head.kind, "layer": "layer1", "pooling": "pooled"}
    save_checkpoint(path, content)
    return path


def reading_head() -> StandardizedLinear:
    """Reads the first three channels, which hold red, green and blue."""
    head = StandardizedLinear(16, len(CLASSES))
    with torch.no_grad():
        for channel, colour in enumerate(("red", "green", "blue")):
            head.weight[CLASSES.index(colour), channel] = 3.0
    return head


def neighbour_head() -> KNNHead:
    """Knows one image of each colour."""
    head = KNNHead(16, num_images=3, num_classes=len(CLASSES))
    for row, colour in enumerate(("red", "green", "blue")):
        head.known[row, row] = 1.0
        head.labels[row] = CLASSES.index(colour)
    return head
