"""The base class of everything here that watches torch's operators as they run.

Its module has an underscore, but torch documents it ("Extending PyTorch", modes) and builds FlopCounterMode on it.
"""

from __future__ import annotations

try:
    from torch.utils._python_dispatch import TorchDispatchMode as DispatchMode
except ImportError:  # no operator is seen then: receptive fields and memory are unknown, everything else works
    from contextlib import nullcontext as DispatchMode

__all__ = ["DispatchMode"]
