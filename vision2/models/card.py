"""The card of a model: what is published about it. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from vision2.basics.preprocessing import Preprocessing


@dataclass(frozen=True)
class ModelFacts:
    """Published numbers for 1000 classes (CIFAR nets: 10) at the model's own image size, with their source.

    Multiply-adds count convolutions and linear layers once, in evaluation mode. None means: nothing published, as for
    every variant (another stem, another width).
    """

    name: str
    family: str
    library: str  # own | torchvision | timm
    paper: tuple[str, str]  # title, arXiv id ("" where there is none)
    year: int
    preprocessing: Preprocessing  # of the published weights
    parameters: int | None  # without auxiliary classifiers
    multiply_adds: float | None
    top1_percent: float | None
    facts_source: str
    parameters_aux: int | None = None  # with auxiliary classifiers
    min_size_eval_px: int = 1
    min_size_train_px: int = 1
    min_size_train_aux_px: int | None = None
    min_size_small_px: int = 1  # with stem=small
    weights: tuple[str, ...] = ()  # published sets, the default one last
    stems: tuple[str, ...] = ("imagenet",)  # the first is the model's own
    shortcuts: tuple[str, ...] = ()  # the first is the model's own
    has_width: bool = False  # takes model.width
    num_classes: int = 1000  # of the published numbers
    note: str = ""  # what this network is, where the name alone could mislead
    variant: tuple[str, ...] = ()  # settings that make it differ from what was published

    @property
    def image_size_px(self) -> int:
        return self.preprocessing.image_size_px

    @property
    def has_aux(self) -> bool:
        return self.min_size_train_aux_px is not None
