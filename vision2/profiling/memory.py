"""How much memory tensors take while a network runs, counted and not measured: equal on every processor."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from vision2.profiling.dispatch import DispatchMode


class LiveTensors(DispatchMode):
    """Bytes of the tensors that are alive at once: the given ones and all that operators return.

    Tensors that share memory count once, also those that only autograd still holds. What a kernel needs while it
    runs, and what the allocator keeps of it afterwards, depends on the processor and is not counted.
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
    """The most memory while `run` runs twice, in 10^6 bytes; `tensors` exist before.

    Twice, because an optimizer makes its state in the first step. On CUDA this is what the allocator handed out, elsewhere
    what `LiveTensors` counts (None where it cannot).
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
