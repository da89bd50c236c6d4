"""Steps of a small network, alone or, started by torchrun, in several processes: `torchrun ... shared_steps.py FILE`."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn

from vision2.basics.place import own_place
from vision2.basics.preprocessing import Preprocessing
from vision2.data.batches import Batches
from vision2.data.settings import AugmentConfig
from vision2.data.store.image_sources import TensorImages
from vision2.strategies.settings import StrategyConfig
from vision2.training.learner import EpochResult, Learner
from vision2.training.parameter_plan import ParameterPlan
from vision2.training.predictions import predict
from vision2.training.ranks import ONE_RANK, Ranks, joined
from vision2.training.settings import TrainConfig

# Images, batch size and settings. Their first batches are divided into parts of different sizes; a last batch of 3 images is
# too small to be divided. With a rate of 1 and no momentum, one step changes each weight by its gradient.
CASES = {
    "one step": (9, 9, {}, {}),
    "weights by class": (9, 9, {"class_weights": "balanced", "label_smoothing": 0.1}, {}),
    "mixed": (9, 9, {}, {"mixup": 0.4}),
    "pasted": (9, 9, {}, {"cutmix": 1.0}),
    "accumulated": (20, 5, {"accumulate": 2}, {}),
    "a small last batch": (23, 10, {"clip_norm": 1.0}, {"mixup": 0.4}),
    "drawn": (13, 10, {"sampler": "balanced", "ema": 0.9}, {}),
}


class Output(NamedTuple):
    logits: torch.Tensor
    aux: dict


class Small(nn.Module):
    stages: ClassVar = {"stem": ("backbone.",), "head": ("head.",)}

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        norm = nn.BatchNorm2d(4)
        norm.running_mean.normal_()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4, 3)

    def forward(self, images):
        return Output(self.head(self.backbone(images)), {})


class Trained(NamedTuple):
    weights: dict[str, torch.Tensor]
    result: EpochResult
    probabilities: np.ndarray


SHARED = {"device": "cpu", "num_classes": 3, "seed": 0, "workers": 0}
LOOK = Preprocessing(image_size_px=12, resize_px=12)


def split_of(count: int) -> SimpleNamespace:
    pixels = torch.randint(256, (count, 3, 12, 12), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return SimpleNamespace(labels=np.arange(count) ** 2 % 3, images=TensorImages(pixels))


def training_batches(case: str) -> Batches:
    count, size, settings, mixing = CASES[case]
    augment = AugmentConfig(crop="pad", crop_padding_px=2, flip=True, **mixing)
    sampler = settings.get("sampler", "shuffle")
    return Batches(split_of(count), LOOK, batch_size=size, augment=augment, shuffle=True, sampler=sampler, **SHARED)


def trained(case: str, ranks: Ranks = ONE_RANK, *, batchnorm: str = "frozen") -> Trained:
    """One epoch of `case`, then the predictions for its images, which are not a multiple of the processes or batches."""
    count, _, settings, _ = CASES[case]
    train = TrainConfig(epochs=1, warmup_epochs=0, schedule="constant", **settings)
    strategy = StrategyConfig(name="scratch", lr=1.0, momentum=0.0, weight_decay=0.0, batchnorm=batchnorm)
    weights = torch.tensor([0.5, 1.5, 4.0]) if train.class_weights == "balanced" else None
    network = Small()
    plan = [ParameterPlan(name, name.split(".")[0], 1.0, 1, True) for name, _ in network.named_parameters()]
    learner = Learner(network, plan, strategy, train, precision="float32", seed=0, class_weights=weights, ranks=ranks)
    result = learner.train_epoch(training_batches(case), 1)
    found = predict(learner.evaluated, Batches(split_of(count), LOOK, batch_size=4, **SHARED), ranks=ranks)
    return Trained({name: value.clone() for name, value in network.state_dict().items()}, result, found.probabilities)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined(own_place(), torch.device("cpu")) as together:
        made = {case: tuple(trained(case, together)) for case in CASES}
        adapted = trained("one step", together, batchnorm="adapt").weights
        differ = together.gather([float(torch.nn.functional.dropout(torch.ones(1000)).sum())])
        if together.rank == 0:
            torch.save({"made": made, "adapted": adapted, "dropout": differ}, Path(sys.argv[1]))
