"""Measure how fast a network runs on this device and how much memory it takes, in a process of its own.

The system kills a process that runs out of memory; the command itself survives and can say why.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vision2.basics.errors import UserError
from vision2.basics.process import keep_freed_memory
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.profiling.memory import peak_tensor_mb
from vision2.training.optimizer import Optimizer
from vision2.training.precision import autocast, choose_device, choose_precision

SMALL_IMAGE_PX = 64
PASSES = (2, 50)  # minimum and maximum, after two to warm up
SECONDS = 3.0  # no new pass is started after this time


@dataclass(frozen=True)
class Workload:
    """What to measure: a model on images of one size, in batches."""

    model: ModelConfig
    num_classes: int
    image_size_px: int
    batch_size: int
    device: str
    precision: str = "float32"  # of training; inference is always float32, as evaluation is


@dataclass(frozen=True)
class Measured:
    """Images per second (median pass) and peak memory in 10^6 bytes (None where it cannot be counted)."""

    device: str
    batch_size: int
    precision: str  # of training
    inference_images_per_second: float
    inference_memory_mb: float | None
    training_images_per_second: float
    training_memory_mb: float | None

    def cells(self) -> list[str]:
        speeds = (self.inference_images_per_second, self.training_images_per_second)
        memory = (self.inference_memory_mb, self.training_memory_mb)
        return [
            *(f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}" for speed in speeds),
            *("-" if mb is None else f"{mb:,.0f}" for mb in memory),
        ]


def workload_for(
    model: ModelConfig, num_classes: int, image_size_px: int, *, device: str, batch_size: int | None, precision: str
) -> Workload:
    """The workload for a run's settings: device and precision may be `auto`, the batch size may be left out.

    Raises:
        UserError: for a device that is not available, or a precision that it does not support.
    """
    found = choose_device(device)
    if batch_size is None:  # large enough to be fast, small enough to be measured in seconds on two cores
        batch_size = 128 if image_size_px <= SMALL_IMAGE_PX else 32 if found.type == "cuda" else 8
    # On a CPU, `auto` may time both precisions, which takes longer than this whole measurement.
    wanted = "float32" if precision == "auto" and found.type != "cuda" else precision
    chosen = choose_precision(wanted, nn.Identity(), found, image_size_px)
    return Workload(model, num_classes, image_size_px, batch_size, str(found), chosen)


def measure(workload: Workload) -> Measured:
    """Measure in a fresh process.

    Raises:
        UserError: if it runs out of memory.
    """
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(measure_here, workload).result()
    except (BrokenProcessPool, torch.OutOfMemoryError, MemoryError) as error:
        raise UserError(
            f"out of memory with {workload.batch_size} images of {workload.image_size_px} px in {workload.model.name};"
            " lower train.batch_size or dataset.image_size_px, or use measure=false"
        ) from error


def measure_here(workload: Workload) -> Measured:
    """Measure in this process: inference, then training, on random images."""
    keep_freed_memory()
    device, size = torch.device(workload.device), workload.image_size_px
    network = build_model(workload.model, workload.num_classes, seed=0, image_size_px=size)
    network = network.to(device, memory_format=torch.channels_last)
    images = torch.randn(workload.batch_size, 3, size, size, device=device).to(memory_format=torch.channels_last)
    labels = torch.arange(workload.batch_size, device=device) % workload.num_classes
    tensors = [images, labels, *network.parameters(), *network.buffers()]
    found = []
    for run in (
        _inference(network, images),
        _training(network, images, labels, precision=workload.precision, aux_weight=workload.model.aux_weight),
    ):
        memory = peak_tensor_mb(run, tensors)  # also warms up
        found += [_images_per_second(run, images), memory]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    return Measured(name, workload.batch_size, workload.precision, *found)


def _inference(network: nn.Module, images: Tensor) -> Callable[[], None]:
    def forward() -> None:
        network.eval()
        with torch.inference_mode():
            network(images)

    return forward


def _training(network: nn.Module, images: Tensor, labels: Tensor, *, precision: str, aux_weight: float) -> Callable[[], None]:
    groups = [{"params": list(network.parameters()), "lr": 1e-4, "weight_decay": 0.0}]
    optimizer = Optimizer("sgd", groups, momentum=0.9)

    def step() -> None:
        network.train()
        with autocast(images.device, precision):
            output = network(images)
            loss = cross_entropy(output.logits.float(), labels)
            loss = loss + sum(aux_weight * cross_entropy(aux.float(), labels) for aux in output.aux.values())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _images_per_second(run: Callable[[], None], images: Tensor) -> float:
    seconds: list[float] = []
    least, most = PASSES
    while len(seconds) < least or (sum(seconds) < SECONDS and len(seconds) < most):
        _wait_for(images.device)
        start = time.perf_counter()
        run()
        _wait_for(images.device)
        seconds.append(time.perf_counter() - start)
    return len(images) / median(seconds)


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
