"""A tiny network and batches with the contracts of vision2.models and vision2.data, for tests."""

from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import nn

from vision2.basics.preprocessing import Preprocessing
from vision2.strategies import STRATEGIES
from vision2.strategies.settings import StrategyConfig
from vision2.training.parameter_plan import ParameterPlan, plan_parameters

PREPROCESSING = Preprocessing(image_size_px=8, resize_px=8, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


class Output(NamedTuple):
    logits: torch.Tensor
    aux: dict


class TinyNetwork(nn.Module):
    """Convolution (bias-free, 1x1), in-place ReLU, global mean, linear head."""

    def __init__(self, channels=4, classes=3):
        super().__init__()
        self.convolution = nn.Conv2d(3, channels, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(channels, classes, bias=False)

    def features(self, images):
        return self.relu(self.convolution(images)).mean((2, 3))

    def forward(self, images):
        return Output(self.head(self.features(images)), {})


class FakeBatches:
    """Evaluation batches of two over images (N, 3, H, W), shuffled so that order cannot be taken for granted."""

    def __init__(self, images, labels):
        self.images, self.labels = images, torch.as_tensor(labels)

    def epoch(self, _epoch, _place=None):
        order = torch.arange(len(self.images)).flip(0)
        for indices in order.split(2):
            yield SimpleNamespace(images=self.images[indices], labels=self.labels[indices], indices=indices)


def plan_for(network: nn.Module, strategy: StrategyConfig) -> list[ParameterPlan]:
    """What each parameter of `network` does under the strategy that these settings name."""
    return plan_parameters(network, STRATEGIES[strategy.name].rules(strategy, network.stages), strategy)
