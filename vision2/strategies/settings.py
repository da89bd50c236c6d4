"""Settings of a strategy: what is trained, at which learning rate and from which weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from vision2.basics.settings import choice, number
from vision2.strategies import STRATEGIES

CLASSIFIERS = ("linear", "logistic", "svm", "knn", "centroid", "centroid_cosine", "ridge", "lda", "mlp")


@dataclass
class RuleConfig:
    match: str = "???"  # glob over parameter names, e.g. "backbone.layer4.*"
    lr_scale: float = number(1.0, 0.0)
    frozen: bool = False


@dataclass
class StrategyConfig:
    name: str = choice("???", *STRATEGIES)  # which part of the network is trained
    pretrained: bool = False  # start from pretrained weights
    source: str | None = None  # a run folder to transfer from; before = the run described by experiment.before
    optimizer: str = choice("sgd", "sgd", "adamw")  # sgd has Nesterov momentum
    lr: float = number(0.05, 0.0)  # learning rate of the head; with scratch, of the whole network
    momentum: float = number(0.9, 0.0, 1.0)  # for optimizer=sgd
    weight_decay: float = number(5e-4, 0.0)  # applied to weight matrices and convolution kernels
    decay_norm_and_bias: bool = False  # apply weight decay to norm parameters and biases too
    backbone_lr_scale: float = number(1.0, 0.0)  # learning rate of the backbone relative to lr
    layer_decay: float = number(1.0, 0.0, 1.0)  # learning-rate factor per stage, counted back from the last stage
    unfreeze_from: str | None = None  # first stage that is trained; null = all of them
    head_first_epochs: int = number(0, 0)  # epochs that train only the head, before the backbone is trained too
    unfreeze_every_epochs: int = number(0, 0)  # n: unfreeze one more stage every n epochs, from the last one backwards; 0 = off
    batchnorm: str = choice("adapt", "adapt", "frozen")  # whether the trained part updates its running statistics
    l2_sp: float = number(0.0, 0.0)  # penalty alpha/2 |w - w_pretrained|^2 (Li et al. 2018); 0 = off
    rules: list[RuleConfig] = field(default_factory=list)  # custom rules, which take precedence; the first match wins
    features: str = choice("once", "once", "every_epoch")  # compute them once and store them, or in every epoch
    layer: str = "last"  # where to cut: last | a stage | a module; a+b: whichever is better on validation
    pooling: str = choice("pooled", "pooled", "flattened")  # average features over positions, or keep all positions
    classifier: str = choice("linear", *CLASSIFIERS)  # fitted to features at once, except linear, which is trained in epochs
    neighbors: int | None = number(None, 1)  # for classifier=knn; null = as set by selection
    selection: str = choice("validation", "validation", "fixed")  # regularisation or neighbors: best on validation, or fixed
    distance: str = choice("euclidean", "euclidean", "cosine")  # between features of an episode; not for strategy=fomaml
    train_way: int = number(60, 2)  # protonet, matching, fomaml: classes per training episode; more than in a test is better
    train_shot: int = number(1, 1)  # labelled images per class of a training episode; best as in the test
    train_query: int = number(5, 1)  # images per class of a training episode to classify
    episodes_per_epoch: int = number(100, 1)  # training episodes that make an epoch
    inner_steps: int = number(5, 1)  # fomaml: steps of gradient descent on the support
    inner_lr: float = number(0.1, 0.0)  # fomaml: learning rate of these steps
    attributes: str | None = None  # for strategy=eszsl: a CSV file with a row of numbers for each class, or seven_segments
    views: int = number(1, 1, 32)  # stored versions of each training image: the image itself, then augmented ones
