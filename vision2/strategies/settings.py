"""Settings of a strategy: who learns, how fast, from what."""

from __future__ import annotations

from dataclasses import dataclass, field

from vision2.basics.settings import choice, number
from vision2.strategies import STRATEGIES

CLASSIFIERS = ("linear", "logistic", "svm", "knn", "centroid", "ridge", "lda", "mlp")


@dataclass
class RuleConfig:
    match: str = "???"  # glob over parameter names, e.g. "backbone.layer4.*"
    lr_scale: float = number(1.0, 0.0)
    frozen: bool = False


@dataclass
class StrategyConfig:
    name: str = choice("???", *STRATEGIES)  # which part of the network is trained
    pretrained: bool = False  # start from pretrained weights
    source: str | None = None  # a run folder to transfer from; before = the run of experiment.before
    optimizer: str = choice("sgd", "sgd", "adamw")  # sgd has Nesterov momentum
    lr: float = number(0.05, 0.0)  # learning rate of the head, and of the whole network with scratch
    momentum: float = number(0.9, 0.0, 1.0)  # for optimizer=sgd
    weight_decay: float = number(5e-4, 0.0)  # of weight matrices and kernels
    decay_norm_and_bias: bool = False  # weight decay of norm parameters and biases too
    backbone_lr_scale: float = number(1.0, 0.0)  # learning rate of the backbone relative to lr
    layer_decay: float = number(1.0, 0.0, 1.0)  # factor on the learning rate per stage, from the last stage backwards
    unfreeze_from: str | None = None  # first stage that is trained; null = all of them
    head_first_epochs: int = number(0, 0)  # epochs that train only the head, before the backbone joins
    unfreeze_every_epochs: int = number(0, 0)  # gradual unfreezing, from the last stage backwards; 0 = off
    batchnorm: str = choice("adapt", "adapt", "frozen")  # running statistics of the trained part
    l2_sp: float = number(0.0, 0.0)  # penalty alpha/2 |w - w_pretrained|^2 (Li et al. 2018); 0 = off
    rules: list[RuleConfig] = field(default_factory=list)  # your own, before the ones above; the first match wins
    features: str = choice("once", "once", "every_epoch")  # computed once and stored, or in every epoch
    layer: str = "last"  # where to cut: last | a stage | a module; a+b: the one that is best on validation
    pooling: str = choice("pooled", "pooled", "flattened")  # features averaged over positions, or all positions kept
    classifier: str = choice("linear", *CLASSIFIERS)  # on features; linear is trained in epochs, the others are fitted
    neighbors: int | None = number(None, 1)  # for classifier=knn; null = chosen on validation
    views: int = number(1, 1, 32)  # stored features per training image: of itself, then of augmented versions
