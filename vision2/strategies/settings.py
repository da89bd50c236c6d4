"""Settings of a strategy: who learns, how fast, from what."""

from __future__ import annotations

from dataclasses import dataclass, field

from vision2.basics.settings import choice, number

CLASSIFIERS = ("linear", "logistic", "svm", "knn", "centroid", "ridge", "lda", "mlp")


@dataclass
class RuleConfig:
    match: str = "???"  # glob over parameter names, e.g. "backbone.layer4.*"
    lr_scale: float = number(1.0, 0.0)
    frozen: bool = False


@dataclass
class StrategyConfig:
    name: str = choice("???", "scratch", "feature_extraction", "finetune")  # what learns
    pretrained: bool = False  # needs pretrained weights
    source: str | None = None  # a run folder of ours to transfer from; before = the run of experiment.before
    optimizer: str = choice("sgd", "sgd", "adamw")  # sgd is with Nesterov momentum
    lr: float = number(0.05, 0.0)  # of the head, and of everything with scratch
    momentum: float = number(0.9, 0.0, 1.0)  # of sgd
    weight_decay: float = number(5e-4, 0.0)  # of matrices and kernels
    decay_norm_and_bias: bool = False  # weight decay on norms and biases too
    backbone_lr_scale: float = number(1.0, 0.0)  # rate of the pretrained part relative to lr
    layer_decay: float = number(1.0, 0.0, 1.0)  # factor a stage, from the last stage down
    unfreeze_from: str | None = None  # first stage that learns; null = all of them
    head_first_epochs: int = number(0, 0)  # train only the head this long, then the rest
    unfreeze_every_epochs: int = number(0, 0)  # gradual: one more stage, from the last down, each so many epochs
    batchnorm: str = choice("adapt", "adapt", "frozen")  # running statistics of the part that learns
    l2_sp: float = number(0.0, 0.0)  # penalty alpha/2 |w - w_pretrained|^2 (Li et al. 2018)
    rules: list[RuleConfig] = field(default_factory=list)  # your own, before the ones above; the first match wins
    features: str = choice("once", "once", "every_epoch")  # feature_extraction: cached features or the usual loop
    layer: str = "last"  # cut after: last | a stage | a module name; several joined by +, the best on validation wins
    pooling: str = choice("pooled", "pooled", "flattened")  # averaged over positions, or all kept
    classifier: str = choice("linear", *CLASSIFIERS)  # on features; linear is trained in epochs, the others are fitted
    neighbors: int | None = number(None, 1)  # for classifier=knn; null = picked on validation
    views: int = number(1, 1, 32)  # views of each training image kept as features: as it is, and augmented ones
