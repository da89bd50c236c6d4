"""Settings of a data set and of its augmentation."""

from __future__ import annotations

from dataclasses import dataclass, field

from vision2.basics.settings import choice, number
from vision2.data.datasets import DATASETS


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
    name: str = choice("???", *DATASETS)  # which images
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
