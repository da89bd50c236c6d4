"""Training strategies by name: what is trained, at which learning rate and on what. One file per strategy.

A strategy is a module with the names in `Strategy`. To add one, write
its file here, its line in `STRATEGIES`, its YAML in conf/strategy and its test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from vision2.strategies import eszsl, feature_extraction, finetune, fomaml, matching, protonet, scratch

if TYPE_CHECKING:
    from vision2.meta.method import Method
    from vision2.strategies.rules import Stages
    from vision2.strategies.settings import StrategyConfig
    from vision2.training.fit import Fit, Task
    from vision2.training.parameter_plan import Rule
    from vision2.training.settings import TrainConfig


class Strategy(Protocol):
    """The interface of a strategy module. Importing one does not import torch, so that its checks are immediate."""

    TRAINS_BACKBONE: bool  # whether the backbone runs in training mode, for which some networks need larger images
    EPISODIC: bool  # whether it learns from episodes, which need a data set that is split by class

    def problems(self, strategy: StrategyConfig, train: TrainConfig) -> list[str]:
        """Return one sentence for each contradiction between settings."""

    def rules(self, strategy: StrategyConfig, stages: Stages) -> list[Rule]:
        """Return ordered rules that cover every parameter: from which epoch it is trained, and at which rate."""

    def method(self, strategy: StrategyConfig) -> Method:
        """Return how the network classifies an episode, for data sets that are split by class."""

    def start(self, task: Task) -> Fit | None:
        """Return what is to be fitted, ready to run: the network on batches of images, or a classifier on features.

        None in all processes but the first, if only that one goes on.
        """


STRATEGIES: dict[str, Strategy] = {
    "scratch": scratch,
    "feature_extraction": feature_extraction,
    "finetune": finetune,
    "protonet": protonet,
    "matching": matching,
    "fomaml": fomaml,
    "eszsl": eszsl,
}
