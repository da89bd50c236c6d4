"""The device and number format of a run, chosen by availability and speed."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import torch
from torch import nn

from vision2.basics.errors import UserError
from vision2.basics.remembered import remembered
from vision2.basics.threads import usable_cores
from vision2.runs.environment import processor_name

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Below this size, layers are too small for bfloat16 to be faster on a CPU, and timing it would cost more than it saves.
PROBE_FROM_PX = 96
PROBE_IMAGES = 8


def choose_device(wanted: str) -> torch.device:
    """Return the device; `auto` takes CUDA, else MPS, else the CPU, with no more threads than physical cores.

    Raises:
        UserError: when the device is not available.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if torch.get_num_threads() > usable_cores():
        torch.set_num_threads(usable_cores())
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={wanted} is not available here; use device=auto or device=cpu") from error
    return device


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Context for a mixed-precision forward pass; does nothing for float32."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, DTYPES[precision])


def choose_precision(
    wanted: str, network: nn.Module, device: torch.device, image_size_px: int, *, memory: Path | None = None
) -> str:
    """Return the number format; `auto`: bfloat16 or float16 on CUDA, the faster one on a CPU with bfloat16, else float32.

    Args:
        memory: a folder that keeps the outcome for this processor and network, so that all jobs of this and later sweeps
            use the same format; None times the formats again.

    Raises:
        UserError: for float16 on a CPU, where float16 training is not fast.
    """
    if wanted == "float16" and device.type == "cpu":
        raise UserError("train.precision=float16 cannot be used for training on a CPU; use auto, bfloat16 or float32")
    possible = possible_precisions(wanted, device, image_size_px)
    if len(possible) == 1:
        return possible[0]
    shapes = [(name, tuple(value.shape)) for name, value in network.state_dict().items()]
    facts = ["precision", processor_name(), torch.__version__, torch.get_num_threads(), image_size_px, shapes]

    def faster() -> str:
        seconds = {name: _seconds_per_step(network, device, name, image_size_px) for name in possible}
        return min(seconds, key=seconds.__getitem__)

    return remembered(memory, facts, faster)


def possible_precisions(wanted: str, device: torch.device, image_size_px: int) -> tuple[str, ...]:
    """The number formats that `choose_precision` may return here; only if there are several, they are timed."""
    if wanted != "auto":
        return (wanted,)
    if device.type == "cuda":
        return ("bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16",)
    if device.type != "cpu" or image_size_px < PROBE_FROM_PX or not cpu_has_bfloat16():
        return ("float32",)
    return ("float32", "bfloat16")


def cpu_has_bfloat16() -> bool:
    """Whether this processor has bfloat16 instructions; when they are emulated, float32 is ten times as fast.

    PyTorch has no public function for this; if the private one is missing, the answer is False.
    """
    try:
        return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    except (AttributeError, RuntimeError):
        return False


def could_use_bfloat16(device: str, wanted: str) -> bool:
    """Whether `train.precision=bfloat16` would be fast on this device and is not in use already."""
    if wanted in ("bfloat16", "float16"):
        return False
    with suppress(UserError):
        if choose_device(device).type == "cuda":  # where auto already chooses a 16-bit format
            return wanted == "float32" and torch.cuda.is_bf16_supported(including_emulation=False)
        return choose_device(device).type == "cpu" and cpu_has_bfloat16()
    return False


def _seconds_per_step(network: nn.Module, device: torch.device, precision: str, image_size_px: int) -> float:
    """The faster of two forward and backward passes, after one for warm-up; the state of the network is restored."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.randn(PROBE_IMAGES, 3, image_size_px, image_size_px, device=device)
    images = images.to(memory_format=torch.channels_last)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        with autocast(device, precision):
            loss = network(images).logits.float().logsumexp(1).mean()
        loss.backward()
        seconds.append(time.perf_counter() - start)
        network.zero_grad(set_to_none=True)
    network.load_state_dict(state)
    return min(seconds[1:])
