"""From a configuration to a network with a class count, its initial weights drawn from one stream."""

from __future__ import annotations

import torch

from vision2.basics.randomness import derive_seed
from vision2.models.cards import ModelCard, card_for, check_size
from vision2.models.families.resnet import cifar_resnet, imagenet_resnet
from vision2.models.families.torchvision_networks import RESNET_STAGES, build_torchvision
from vision2.models.network import Network, NetworkParts, take_linear
from vision2.models.settings import ModelConfig


def build_model(config: ModelConfig, num_classes: int, *, seed: int, image_size_px: int | None = None) -> Network:
    """The untrained network that `config` names; the same seed gives the same weights on every device.

    Raises:
        UserError: for an unknown name, a setting the model does not accept, or images too small for it.
    """
    card = card_for(config)
    size = card.image_size_px if image_size_px is None else image_size_px
    check_size(config, size, training=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "init"))
        return Network(_parts(config, card, num_classes, size), card)


def meta_network(config: ModelConfig, num_classes: int | None = None, image_size_px: int | None = None) -> Network:
    """The network without memory for its tensors, to count it or to look at its structure.

    `num_classes` is that of the published numbers when left out.
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
        from vision2.models.families.inception import small_inception

        return small_inception(num_classes, aux=config.aux, naive=card.name == "smallinception_naive")
    if card.family == "densenet":
        from vision2.models.families.densenet import densenet40_k12

        return densenet40_k12(num_classes)
    return _resnet(config, card, num_classes, stem)


def _resnet(config: ModelConfig, card: ModelCard, num_classes: int, stem: str) -> NetworkParts:
    depth = int(card.name.removeprefix("resnet").removeprefix("plain"))
    shortcut = "none" if card.family == "plain" else config.shortcut or card.shortcuts[0]
    if card.stems == ("small",):
        backbone = cifar_resnet(depth, shortcut=shortcut, num_classes=num_classes)
    else:
        backbone = imagenet_resnet(depth, stem=stem, shortcut=shortcut, num_classes=num_classes)
    stages = {name: modules for name, modules in RESNET_STAGES.items() if name == "stem" or name in backbone.stage_names}
    return NetworkParts(backbone, take_linear(backbone, "fc"), stages, "fc")
