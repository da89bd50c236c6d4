"""Settings of a data set and of its augmentation; `datasets.problems` finds contradictions between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from vision2.basics.settings import choice, number
from vision2.data.datasets import DATASETS


@dataclass
class AugmentConfig:
    crop: str = choice("random_resized", "none", "pad", "random_resized")  # pad: random shift; random_resized: random part
    crop_padding_px: int = number(4, 0)  # for crop=pad
    crop_scale_min: float = number(0.35, 0.01, 1.0)  # for crop=random_resized: smallest share of the area
    flip: bool = True  # horizontal, p = 0.5
    color_jitter: float = number(0.0, 0.0, 1.0)  # brightness, contrast and saturation change by up to +- this share
    rand_augment: int = number(0, 0, 8)  # random operations per image; 0 = off
    erasing: float = number(0.0, 0.0, 1.0)  # probability of erasing a rectangle
    mixup: float = number(0.0, 0.0)  # alpha of Beta(alpha, alpha); 0 = off
    cutmix: float = number(0.0, 0.0)  # alpha of Beta(alpha, alpha); 0 = off


@dataclass
class DatasetConfig:
    name: str = choice("???", *DATASETS)  # which data set to use
    root: str | None = None  # where the images are: a folder, a zip, a tar or a CSV list, depending on the data set
    source: str | None = None  # which published archive to download, if a data set has several
    download: bool = True  # download missing data (false: stop and say what is missing)
    class_level: str | None = None  # which folders are classes: top | leaf | 1, 2, ... levels; null = top, or ask if unclear
    zip_encoding: str | None = None  # encoding of names in a zip that are not UTF-8: cp437, cp850, cp1252, ...; null = guess
    csv_path_column: str | None = None  # header of the path column in a CSV list; null = path, file, image, ...
    csv_label_column: str | None = None  # header of the label column; null = label, class, category, ...
    csv_split_column: str | None = None  # header of the split column; null = split, part, subset
    image_size_px: int | None = number(None, 8, 2048)  # null = the model's own input size
    resize: str | None = choice(None, "crop", "squash", "pad")  # null = as the weights were trained, else crop (the centre)
    split_by: str = choice("image", "image", "class")  # class: validation and test classes are new; measured on episodes
    val_fraction: float = number(0.1, 0.01, 0.9)  # share of the images (or classes) outside test, if there is no val split
    test_fraction: float = number(0.2, 0.01, 0.9)  # share of all images (or classes), if there is no test split
    split_seed: int | None = number(None, 0)  # draws splits and eval_fraction; null = seed, so that every seed has its own
    group_pattern: str | None = None  # regular expression; files with the same first group stay in one split
    classes: list[str] | None = None  # use only these classes
    unseen: list[str] | None = None  # classes with test images only, for zero-shot learning (strategy=eszsl)
    unseen_drawn: int | None = number(None, 2)  # number of unseen classes, drawn with the seed
    fraction: float = number(1.0, 0.0, 1.0)  # share of the training split, stratified and nested
    eval_fraction: float = number(1.0, 0.001, 1.0)  # share of the validation and test images, for a quick look; n is reported
    shots_per_class: int | None = number(None, 1)  # training images per class
    imbalance: float = number(1.0, 1.0)  # largest : smallest training class, exponential in between
    label_noise: float = number(0.0, 0.0, 1.0)  # share of training labels replaced with another class
    cache: str = choice("disk", "off", "memory", "disk")  # where decoded images are kept
    cache_dir: str | None = None  # null = $VISION2_CACHE, or ~/.cache/vision2
    cache_gb: float = number(20.0, 0.0)  # total limit for all stores of decoded images; features are not counted
    max_bad_share: float = number(0.05, 0.0, 1.0)  # stop when a larger share of the files cannot be decoded
    workers: int | None = number(None, 0)  # threads that prepare batches; null = chosen by device and number of cores
    augment: AugmentConfig = field(default_factory=AugmentConfig)
