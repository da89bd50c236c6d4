"""Every setting, typed, with its default and its meaning. Plain dataclasses: nothing below the commands sees Hydra.

The comment behind a field is the help a user reads; a field with `choices` metadata accepts only those.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CLASSIFIERS = ("linear", "logistic", "svm", "knn", "centroid", "ridge", "lda", "mlp")


def choice(default: Any, *allowed: str) -> Any:
    return field(default=default, metadata={"choices": allowed})


def number(default: Any, at_least: float | None = None, at_most: float | None = None) -> Any:
    return field(default=default, metadata={"at_least": at_least, "at_most": at_most})


@dataclass
class ModelConfig:
    name: str = "???"  # a name of the catalogue (vision2/models/facts.py), or of timm with library=timm
    library: str = choice("catalogue", "catalogue", "timm")  # where the name is looked up
    stem: str | None = None  # imagenet | small (3x3, stride 1, no pooling); null = the option's own
    shortcut: str | None = None  # residual families: A | B | none (= plain); null = the option's own
    width: float = number(1.0, 0.1, 4.0)  # MobileNet v1 width multiplier
    aux: bool = False  # auxiliary classifiers (GoogLeNet, Inception v3, smallinception)
    aux_weight: float = number(0.3, 0.0, 1.0)  # total loss = main + aux_weight * each auxiliary loss


@dataclass
class WeightsConfig:
    name: str = "auto"  # auto (what the strategy needs) | none | default | a published set, e.g. IMAGENET1K_V2
    path: str | None = None  # a local .pth or .safetensors file, or a checkpoint of ours
    sha256: str | None = None  # checked against the file when given
    min_coverage: float = number(0.9, 0.0, 1.0)  # least share of backbone parameters that must load


@dataclass
class AugmentConfig:
    crop: str = choice("random_resized", "none", "pad", "random_resized")  # pad: shifted; random_resized: a part of it
    crop_padding_px: int = number(4, 0)  # for crop=pad
    crop_scale_min: float = number(0.35, 0.01, 1.0)  # for crop=random_resized: least share of the area
    flip: bool = True  # horizontal, p = 0.5
    color_jitter: float = number(0.0, 0.0, 1.0)  # brightness, contrast and saturation, +- this share
    rand_augment: int = number(0, 0, 8)  # operations per image; 0 = off
    erasing: float = number(0.0, 0.0, 1.0)  # probability of erasing a rectangle
    mixup: float = number(0.0, 0.0)  # alpha of Beta(alpha, alpha); 0 = off
    cutmix: float = number(0.0, 0.0)  # alpha of Beta(alpha, alpha); 0 = off


@dataclass
class DatasetConfig:
    name: str = choice("???", "digits", "cifar10", "cats_vs_dogs", "plants", "folder")  # which images
    root: str | None = None  # where the images lie: a folder, a zip or a CSV list, by data set
    source: str | None = None  # which published archive to download, by data set
    download: bool = True  # fetch absent data (false: say what is missing instead)
    image_size_px: int | None = number(None, 8, 2048)  # null = the model's own size
    val_fraction: float = number(0.1, 0.01, 0.9)  # of the training part, when no val split exists
    test_fraction: float = number(0.2, 0.01, 0.9)  # of everything, when no test split exists
    group_pattern: str | None = None  # regular expression; files with the same first group stay on one side
    classes: list[str] | None = None  # keep these classes only
    fraction: float = number(1.0, 0.0, 1.0)  # of the training split, stratified and nested
    eval_fraction: float = number(1.0, 0.001, 1.0)  # of validation and test, stratified, for a quick look; n is told
    shots_per_class: int | None = number(None, 1)  # training images a class
    imbalance: float = number(1.0, 1.0)  # largest : smallest class of the training split, exponential in between
    label_noise: float = number(0.0, 0.0, 1.0)  # share of training labels replaced by another class
    cache: str = choice("disk", "off", "memory", "disk")  # decoded images
    cache_dir: str | None = None  # null = $VISION2_CACHE, or ~/.cache/vision2
    cache_gb: float = number(20.0, 0.0)  # largest size of all stores of images together; features are not counted
    max_bad_share: float = number(0.05, 0.0, 1.0)  # stop when more files than this cannot be decoded
    workers: int | None = number(None, 0)  # threads that prepare batches; null = chosen by the machine
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass
class RuleConfig:
    match: str = "???"  # glob over parameter names, e.g. "body.layer4.*"
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


@dataclass
class TrainConfig:
    epochs: int = number(10, 0)  # passes over the training images; 0 only evaluates
    batch_size: int | None = number(None, 1)  # null = 128 up to 64 px, else 32
    schedule: str = choice("cosine", "cosine", "step", "constant")  # of the learning rate, after the warm-up
    warmup_epochs: float = number(0.5, 0.0)  # the rate rises from 0 this long
    milestones: list[float] = field(default_factory=lambda: [0.5, 0.75])  # of the run; step schedule
    gamma: float = number(0.1, 0.0, 1.0)  # step schedule
    label_smoothing: float = number(0.0, 0.0, 0.999)  # share of the truth spread over all classes
    clip_norm: float | None = number(None, 0.0)  # largest norm of the gradient; null = not clipped
    accumulate: int = number(1, 1)  # batches a step
    ema: float = number(0.0, 0.0, 0.99999)  # decay of the averaged weights; 0 = off
    patience: int | None = number(None, 1)  # stop after so many epochs without a better validation accuracy
    precision: str = choice("auto", "auto", "float32", "bfloat16", "float16")  # auto: the fastest
    channels_last: bool = True  # memory layout that convolutions are faster in
    compile: bool = False  # torch.compile: slow to start, faster afterwards on a GPU
    class_weights: str = choice("none", "none", "balanced")  # balanced: rare classes count more in the loss
    sampler: str = choice("shuffle", "shuffle", "balanced")  # balanced: rare classes are drawn more often


@dataclass
class ReportConfig:
    language: str = choice("en", "en", "es")  # of pages, tables and verdicts


@dataclass
class ExperimentConfig:
    name: str | None = None  # what the page is called
    claim: str = ""  # the lecture's sentence
    claim_es: str = ""  # the same in Spanish
    source: str = ""  # where the claim comes from
    note: str = ""  # what this budget cannot show
    note_es: str = ""  # the same in Spanish
    before: list[str] = field(default_factory=list)  # settings of a run that strategy.source=before stands for
    before_root: str | None = None  # dataset.root of that run
    comparisons: list[Any] = field(default_factory=list)  # see vision2/analysis/verdict.py


@dataclass
class Config:
    model: ModelConfig = field(default_factory=ModelConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    strategy: StrategyConfig = field(default_factory=StrategyConfig)
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    experiment: ExperimentConfig = field(default_factory=ExperimentConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    mode: str = choice("train", "train", "eval")  # train, or evaluate a checkpoint
    checkpoint: str | None = None  # mode=eval: the file to evaluate
    resume: str | None = None  # a run folder to continue
    seed: int = number(0, 0)  # of the split, the start, the order and the augmentation, each by its own stream
    device: str = "auto"  # auto (CUDA, then MPS, then CPU) | cpu | cuda | cuda:1 | mps
    budget: str = choice("lite", "lite", "full")  # experiments: minutes on a laptop, or the paper's recipe
    output_dir: str = "outputs"  # where run folders are made
    skip_finished: bool = False  # in a sweep: leave out jobs that a finished run already answers
