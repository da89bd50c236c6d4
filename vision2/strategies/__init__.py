"""Who learns, how fast and from what: one file per strategy, found here by name.

A strategy is a module with `TRAINS_BACKBONE`, `problems`, `rules` and `start`; see `Strategy`. To add one: a file here, its
line in `STRATEGIES`, its YAML in conf/strategy and its test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from vision2.strategies import feature_extraction, finetune, scratch

if TYPE_CHECKING:
    from vision2.strategies.rules import Stages
    from vision2.strategies.settings import StrategyConfig
    from vision2.training.fit import Fit, Task
    from vision2.training.parameter_plan import Rule
    from vision2.training.settings import TrainConfig


class Strategy(Protocol):
    """What every strategy module answers. Loading one loads no torch, so that its checks answer at once."""

    TRAINS_BACKBONE: bool  # whether images go through the backbone in training mode, which some networks need larger

    def problems(self, strategy: StrategyConfig, train: TrainConfig) -> list[str]:
        """One sentence for each contradiction between settings."""

    def rules(self, strategy: StrategyConfig, stages: Stages) -> list[Rule]:
        """Who learns, from which epoch and how fast: ordered rules that cover every parameter."""

    def start(self, task: Task) -> Fit:
        """What to fit, ready to run: the batches of its epochs, or features and a classifier on them."""


STRATEGIES: dict[str, Strategy] = {
    "scratch": scratch,
    "feature_extraction": feature_extraction,
    "finetune": finetune,
}
