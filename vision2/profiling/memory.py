"""Peak memory of tensors while a network runs; it is counted, so that it is the same on every CPU."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from vision2.profiling.dispatch import DispatchMode


class LiveTensors(DispatchMode):
    """Counts the bytes of all live tensors: the given ones and those that operators return.

    Tensors that share memory count once; those that only autograd still holds count too. The temporary memory of
    kernels, and what the allocator keeps of it, depend on the processor and are not counted.
    """

    def __init__(self, tensors: Iterable[Tensor]):
        super().__init__()
        self.live_bytes = 0
        self.peak_bytes: int | None = None  # None until the first operator has run
        self._known = WeakIdKeyDictionary()
        for tensor in tensors:
            self._add(tensor)

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self._known:
            self._known[storage] = storage.nbytes()
            self.live_bytes += storage.nbytes()
            weakref.finalize(storage, self._drop, storage.nbytes()).atexit = False

    def _drop(self, size: int) -> None:
        self.live_bytes -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, Tensor):
                self._add(value)
        self.peak_bytes = max(self.peak_bytes or 0, self.live_bytes)
        return result


def peak_tensor_mb(run: Callable[[], object], tensors: Sequence[Tensor]) -> float | None:
    """Peak memory in 10^6 bytes while `run` runs twice; `tensors` are those that exist before.

    Twice, because an optimizer creates its state in the first step. On CUDA this is what the allocator handed out,
    elsewhere what `LiveTensors` counts (None if it cannot).
    """
    device = tensors[0].device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        run()
        run()
        return torch.cuda.max_memory_allocated(device) / 1e6
    watched = LiveTensors(tensors)
    with watched:
        run()
        run()
    return None if watched.peak_bytes is None else watched.peak_bytes / 1e6
