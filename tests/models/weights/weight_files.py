"""Weight files of a small network, as different tools write them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from vision2.models.build import build_model
from vision2.models.network import Network
from vision2.models.settings import ModelConfig, WeightsConfig
from vision2.models.weights.load import find_weights, load_weights

RESNET20 = ModelConfig(name="resnet20")


def library_state(network) -> dict[str, torch.Tensor]:
    """A network's tensors under the names its library gives them."""
    state = network.state_dict()
    return {n.replace("head.", f"{network.head_key}.").removeprefix("backbone."): t.clone() for n, t in state.items()}


def prefixed(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def saved(path: Path, content) -> WeightsConfig:
    save_file(content, path) if path.suffix == ".safetensors" else torch.save(content, path)
    return WeightsConfig(path=str(path))


def loaded(config: WeightsConfig, model: ModelConfig = RESNET20, *, outputs: int = 10, classes=None, **build):
    """A fresh network with the file's weights, and the report of loading them."""
    network = build_model(model, outputs, seed=2, **build)
    return network, load_weights(network, find_weights(config, model), 0.9, classes=classes)


def same_network(found: Network, expected: Network) -> bool:
    return all(
        torch.equal(a, b)
        for (name, a), b in zip(found.state_dict().items(), expected.state_dict().values(), strict=True)
        if "num_batches" not in name
    )
