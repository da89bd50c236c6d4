"""All settings in one typed tree, with their defaults and meanings. Each package defines its own part.

The comment after a field becomes its meaning in docs/configuration.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vision2.basics.settings import choice, number
from vision2.data.settings import DatasetConfig
from vision2.faults.table import FAULTS
from vision2.meta.settings import EpisodesConfig
from vision2.models.settings import ModelConfig, WeightsConfig
from vision2.report.settings import ExperimentConfig, ReportConfig
from vision2.strategies.settings import StrategyConfig
from vision2.training.settings import TrainConfig


@dataclass
class Config:
    model: ModelConfig = field(default_factory=ModelConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    strategy: StrategyConfig = field(default_factory=StrategyConfig)
    episodes: EpisodesConfig = field(default_factory=EpisodesConfig)
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    experiment: ExperimentConfig = field(default_factory=ExperimentConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    mode: str = choice("train", "train", "eval")  # train, or evaluate a checkpoint or a weights file
    checkpoint: str | None = None  # for mode=eval: the checkpoint to evaluate
    resume: str | None = None  # a run folder to resume from
    seed: int = number(0, 0)  # of split, initial weights, sample order and augmentation, each with its own random stream
    device: str = "auto"  # auto (CUDA, then MPS, then CPU) | cpu | cuda | cuda:1 | mps
    budget: str = choice("lite", "lite", "full")  # of experiments: minutes on a laptop, or the paper's recipe
    prediction: str | None = None  # what you expect, in a sentence; the page shows it, with its time, beside the result
    fault: str | None = choice(None, *FAULTS)  # a famous mistake, made on purpose and marked in red; null = none
    output_dir: str = "outputs"  # where the run folders are created
    skip_finished: bool = False  # in a sweep: skip jobs that a completed run has already done
