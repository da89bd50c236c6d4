"""The network that a checkpoint holds, ready to predict."""

from __future__ import annotations

import torch

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import Preprocessing
from vision2.models.build import build_model
from vision2.models.cut import with_saved_head
from vision2.models.network import Network
from vision2.models.settings import ModelConfig


def load_network(checkpoint: dict, device: torch.device) -> Network:
    """The network of a checkpoint on `device`, in evaluation mode.

    Raises:
        UserError: when the weights do not fit the model that the checkpoint names.
    """
    size = checkpoint["preprocessing"]["image_size_px"]
    config = ModelConfig(**checkpoint["model_config"])
    network = build_model(config, len(checkpoint["classes"]), seed=0, image_size_px=size)
    network = with_saved_head(network, checkpoint.get("classifier"), checkpoint["model"])
    try:
        network.load_state_dict(checkpoint["model"])
    except RuntimeError as error:
        raise UserError(f"the checkpoint's weights do not fit {config.name}: {str(error).splitlines()[-1]}") from error
    network.preprocessing = Preprocessing.from_dict(checkpoint["preprocessing"])
    return network.to(device, memory_format=torch.channels_last).eval()
