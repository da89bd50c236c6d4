"""Every option of conf/model as a configuration, and networks built without drawing initial weights, which takes time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
import yaml
from torch import nn

from vision2.models.build import meta_network
from vision2.models.cards import card_for
from vision2.models.network import Network
from vision2.models.settings import ModelConfig

FOLDER = Path(__file__).resolve().parents[1] / "conf" / "model"


def options() -> dict[str, ModelConfig]:
    """Option name -> configuration; those with auxiliary classifiers a second time with them switched on."""
    found = {file.stem: ModelConfig(**yaml.safe_load(file.read_text())) for file in sorted(FOLDER.glob("*.yaml"))}
    with_aux = [name for name, config in found.items() if config.library != "timm" and card_for(config).has_aux]
    return found | {f"{name}+aux": replace(found[name], aux=True) for name in with_aux}


def cheap_network(config: ModelConfig, num_classes: int, image_size_px: int) -> Network:
    """A network on the CPU, filled with constants of a sensible size: right shapes and finite numbers, no random draws."""
    network = meta_network(config, num_classes, image_size_px).to_empty(device="cpu")
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.fill_(0.0 if name.endswith("bias") else 1.0 / fan_in)
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.reset_running_stats()
    return network
