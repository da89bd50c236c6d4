"""Build the network that a configuration describes, with initial weights that depend only on the seed."""

from __future__ import annotations

import torch

from vision2.basics.randomness import derive_seed
from vision2.models.cards import ModelCard, card_for, check_size
from vision2.models.families.batch_norm import remove_batch_norm
from vision2.models.families.conv4 import conv4, pixels
from vision2.models.families.densenet import densenet40_k12
from vision2.models.families.inception import small_inception
from vision2.models.families.resnet import build_resnet
from vision2.models.families.torchvision_networks import build_torchvision
from vision2.models.network import Network, NetworkParts
from vision2.models.settings import ModelConfig


def build_model(config: ModelConfig, num_classes: int, *, seed: int, image_size_px: int | None = None) -> Network:
    """The untrained network that `config` names; the same seed gives the same weights on every device.

    Raises:
        UserError: for an unknown name, a setting the model does not accept, or images that are too small for it.
    """
    card = card_for(config)
    size = card.image_size_px if image_size_px is None else image_size_px
    check_size(config, size, training=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "init"))
        return Network(_parts(config, card, num_classes, size), card)


def meta_network(config: ModelConfig, num_classes: int | None = None, image_size_px: int | None = None) -> Network:
    """The network on the meta device (no memory is allocated), for counting it or inspecting its structure.

    `num_classes` defaults to that of the published numbers.
    """
    card = card_for(config)
    with torch.device("meta"):
        return build_model(config, num_classes or card.num_classes, seed=0, image_size_px=image_size_px)


def _parts(config: ModelConfig, card: ModelCard, num_classes: int, image_size_px: int) -> NetworkParts:
    stem = config.stem or card.stems[0]
    if card.library == "torchvision":
        return build_torchvision(card, num_classes, aux=config.aux and card.has_aux, stem=stem)
    if card.library == "timm":
        from vision2.models.families.timm_networks import build_timm

        return build_timm(card, num_classes, stem=stem, width=config.width, image_size_px=image_size_px)
    if card.family == "smallinception":
        naive = card.name == "smallinception_naive"
        return small_inception(num_classes, aux=config.aux, naive=naive, batch_norm=config.batch_norm)
    if card.family == "conv4":
        return conv4(num_classes, width=config.width, image_size_px=image_size_px)
    if card.family == "pixels":
        return pixels(num_classes, image_size_px=image_size_px)
    if card.family == "densenet":
        return densenet40_k12(num_classes)
    shortcut = "none" if card.family == "plain" else config.shortcut or card.shortcuts[0]
    parts = build_resnet(card, num_classes, stem=stem, shortcut=shortcut)
    if not config.batch_norm:
        remove_batch_norm(parts.backbone)
    return parts
