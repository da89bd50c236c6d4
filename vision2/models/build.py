"""From a configuration to a network with a class count, its initial weights drawn from one stream."""

from __future__ import annotations

import torch

from vision2.basics.randomness import derive_seed
from vision2.models.card import ModelFacts
from vision2.models.facts import check_size, facts_for
from vision2.models.families.resnet import cifar_resnet, imagenet_resnet
from vision2.models.families.torchvision_networks import RESNET_STAGES, build_torchvision
from vision2.models.network import Network, NetworkParts, take_linear
from vision2.models.settings import ModelConfig


def build_model(config: ModelConfig, num_classes: int, *, seed: int, image_size_px: int | None = None) -> Network:
    """The untrained network that `config` names; the same seed gives the same weights on every device.

    Raises:
        UserError: for an unknown name, a setting the model does not take, or images too small for it.
    """
    facts = facts_for(config)
    size = facts.image_size_px if image_size_px is None else image_size_px
    check_size(config, size, training=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "init"))
        return Network(_backbone(config, facts, num_classes, size), facts)


def meta_network(config: ModelConfig, num_classes: int | None = None, image_size_px: int | None = None) -> Network:
    """The network without memory for its tensors: for counting and for looking at its structure, in no time.

    `num_classes` is that of the published numbers when left out.
    """
    facts = facts_for(config)
    with torch.device("meta"):
        return build_model(config, num_classes or facts.num_classes, seed=0, image_size_px=image_size_px)


def _backbone(config: ModelConfig, facts: ModelFacts, num_classes: int, image_size_px: int) -> NetworkParts:
    stem = config.stem or facts.stems[0]
    if facts.library == "torchvision":
        return build_torchvision(facts, num_classes, aux=config.aux and facts.has_aux, stem=stem)
    if facts.library == "timm":
        from vision2.models.families.timm_networks import build_timm

        return build_timm(facts, num_classes, stem=stem, width=config.width, image_size_px=image_size_px)
    if facts.family == "smallinception":
        from vision2.models.families.inception import small_inception

        return small_inception(num_classes, aux=config.aux, naive=facts.name == "smallinception_naive")
    if facts.family == "densenet":
        from vision2.models.families.densenet import densenet40_k12

        return densenet40_k12(num_classes)
    return _resnet(config, facts, num_classes, stem)


def _resnet(config: ModelConfig, facts: ModelFacts, num_classes: int, stem: str) -> NetworkParts:
    depth = int(facts.name.removeprefix("resnet").removeprefix("plain"))
    shortcut = "none" if facts.family == "plain" else config.shortcut or facts.shortcuts[0]
    if facts.stems == ("small",):
        backbone = cifar_resnet(depth, shortcut=shortcut, num_classes=num_classes)
    else:
        backbone = imagenet_resnet(depth, stem=stem, shortcut=shortcut, num_classes=num_classes)
    stages = {
        name: modules for name, modules in RESNET_STAGES.items() if name == "stem" or name in backbone.stage_names
    }
    return NetworkParts(backbone, take_linear(backbone, "fc"), stages, "fc")
