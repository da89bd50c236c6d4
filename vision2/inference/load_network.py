"""The network that a checkpoint holds, ready to predict."""

from __future__ import annotations

import torch

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import Preprocessing
from vision2.features.cut import CutNetwork, with_saved_classifier
from vision2.models.build import build_model
from vision2.models.network import Network
from vision2.models.settings import ModelConfig


def network_of(checkpoint: dict, device: torch.device) -> Network | CutNetwork:
    """The network a checkpoint holds, ready to predict on `device`.

    Raises:
        UserError: when the weights do not fit the model that the checkpoint names.
    """
    size = checkpoint["preprocessing"]["image_size_px"]
    config = ModelConfig(**checkpoint["model_config"])
    network = build_model(config, len(checkpoint["classes"]), seed=0, image_size_px=size)
    if checkpoint.get("classifier"):
        network = with_saved_classifier(network, checkpoint["classifier"], checkpoint["model"])
    try:
        network.load_state_dict(checkpoint["model"])
    except RuntimeError as error:
        raise UserError(f"the checkpoint's weights do not fit {config.name}: {str(error).splitlines()[-1]}") from error
    network.preprocessing = Preprocessing.from_dict(checkpoint["preprocessing"])
    return network.to(device, memory_format=torch.channels_last).eval()
