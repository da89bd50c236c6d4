"""Settings of the training loop."""

from __future__ import annotations

from dataclasses import dataclass, field

from vision2.basics.settings import choice, number


@dataclass
class TrainConfig:
    epochs: int = number(10, 0)  # passes over the training images; 0 only evaluates
    batch_size: int | None = number(None, 1)  # null = 128 for images up to 64 px, else 32
    schedule: str = choice("cosine", "cosine", "step", "constant")  # learning-rate schedule after the warm-up
    schedule_epochs: int | None = number(None, 1)  # length of the schedule; null = train.epochs; afterwards its last rate
    warmup_epochs: float = number(0.5, 0.0)  # length of the linear warm-up of the learning rate, in epochs
    milestones: list[float] = field(default_factory=lambda: [0.5, 0.75])  # step: drop at these shares of the schedule
    gamma: float = number(0.1, 0.0, 1.0)  # step: factor of each drop
    label_smoothing: float = number(0.0, 0.0, 0.999)  # share of the target spread over all classes
    clip_norm: float | None = number(None, 0.0)  # maximum norm of the gradient; null = no clipping
    accumulate: int = number(1, 1)  # batches per optimizer step
    ema: float = number(0.0, 0.0, 0.99999)  # decay of the averaged weights; 0 = off
    patience: int | None = number(None, 1)  # early stopping: epochs without better validation accuracy; null = off
    precision: str = choice("auto", "auto", "float32", "bfloat16", "float16")  # auto: the fastest on this machine
    channels_last: bool = True  # memory layout that makes convolutions faster
    sync_batchnorm: bool = False  # with several processes on GPUs: batch-norm statistics of the whole batch, not of its parts
    compile: bool = False  # use torch.compile: slow to start, then faster on a GPU
    class_weights: str = choice("none", "none", "balanced")  # balanced: rare classes have more weight in the loss
    sampler: str = choice("shuffle", "shuffle", "balanced")  # balanced: rare classes are drawn more often
