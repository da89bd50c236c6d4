"""How fast a network runs on this device and how much memory it takes, each measured in a process of its own.

A fresh process because memory that one model has freed may stay with the process and would hide what the next one takes.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from vision2.basics.errors import UserError
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.profiling.model_summary import Measured
from vision2.training.memory import peak_memory_mb
from vision2.training.precision import autocast, choose_precision

SMALL_IMAGE_PX = 64
PASSES = (2, 50)  # at least, at most, after one to warm up
SECONDS = 3.0  # after so long no further pass is begun


@dataclass(frozen=True)
class Probe:
    """What to measure: a model on images of one size, in batches."""

    model: ModelConfig
    num_classes: int
    image_size_px: int
    batch_size: int
    device: str
    precision: str = "float32"  # of training; inference is always float32, as evaluation is


def default_batch(image_size_px: int, device: torch.device) -> int:
    """Large enough to be fast, small enough to be measured in seconds on two cores."""
    if image_size_px <= SMALL_IMAGE_PX:
        return 128
    return 32 if device.type == "cuda" else 8


def training_precision(wanted: str, device: torch.device) -> str:
    """`auto` without a timed probe: its own passes would count as the network's memory."""
    if wanted == "auto" and device.type != "cuda":
        return "float32"
    return choose_precision(wanted, nn.Identity(), device, SMALL_IMAGE_PX)


def measure(probe: Probe) -> Measured:
    """Measure in a fresh process.

    Raises:
        UserError: when the memory does not suffice.
    """
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(measure_here, probe).result()
    except (BrokenProcessPool, torch.OutOfMemoryError, MemoryError) as error:
        raise UserError(
            f"the memory does not suffice for {probe.batch_size} images of {probe.image_size_px} px in"
            f" {probe.model.name}; lower train.batch_size or dataset.image_size_px, or use measure=false"
        ) from error


def measure_here(probe: Probe) -> Measured:
    """Measure in this process: inference, then training, on random images."""
    device, size = torch.device(probe.device), probe.image_size_px
    peak = _Peak(device)
    network = build_model(probe.model, probe.num_classes, seed=0, image_size_px=size)
    network = network.to(device, memory_format=torch.channels_last)
    images = torch.randn(probe.batch_size, 3, size, size, device=device).to(memory_format=torch.channels_last)
    inference = _images_per_second(_inference(network, images), probe.batch_size, device)
    inference_memory = peak.mb()
    peak.restart()
    labels = torch.arange(probe.batch_size, device=device) % probe.num_classes
    step = _training(network, images, labels, probe.precision, probe.model.aux_weight)
    training = _images_per_second(step, probe.batch_size, device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    return Measured(name, probe.batch_size, probe.precision, inference, inference_memory, training, peak.mb())


def _inference(network: nn.Module, images: torch.Tensor):
    def forward() -> None:
        network.eval()
        with torch.inference_mode():
            network(images)

    return forward


def _training(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, precision: str, aux_weight: float):
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        network.train()
        with autocast(images.device, precision):
            output = network(images)
            loss = cross_entropy(output.logits.float(), labels)
            loss = loss + sum(aux_weight * cross_entropy(aux.float(), labels) for aux in output.aux.values())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _images_per_second(run, batch_size: int, device: torch.device) -> float:
    run()
    seconds: list[float] = []
    least, most = PASSES
    while len(seconds) < least or (sum(seconds) < SECONDS and len(seconds) < most):
        _wait_for(device)
        start = time.perf_counter()
        run()
        _wait_for(device)
        seconds.append(time.perf_counter() - start)
    return batch_size / median(seconds)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class _Peak:
    """The most memory held since `restart`, above what was held when this was made, in 10^6 bytes.

    On CUDA what was allocated. Elsewhere the resident memory of the process: Linux can forget its highest mark, where
    it cannot be forgotten the peak is that of the whole process so far.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.restart()
        self.before = self._highest_mb()

    def restart(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            return
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # see proc(5)

    def mb(self) -> float:
        return self._highest_mb() - self.before

    def _highest_mb(self) -> float:
        if self.device.type != "cuda":
            with suppress(OSError):
                for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
                    if line.startswith("VmHWM:"):
                        return int(line.split()[1]) * 1024 / 1e6
        return peak_memory_mb(self.device)
