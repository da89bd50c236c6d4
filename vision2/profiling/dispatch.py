"""The base class of all classes here that watch torch's operators as they run.

Its module name has an underscore, but torch documents it ("Extending PyTorch", modes) and builds FlopCounterMode on it.
"""

from __future__ import annotations

try:
    from torch.utils._python_dispatch import TorchDispatchMode as DispatchMode
except ImportError:  # then receptive fields and memory are unknown, and everything else works
    from contextlib import nullcontext as DispatchMode

__all__ = ["DispatchMode"]
