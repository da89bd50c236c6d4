"""torchvision's models without the wait for torch's compiler.

torchvision.ops asks torch._dynamo for one function when it is loaded, and never calls it unless a detection operator runs.
Loading torch._dynamo takes longer than torch itself, for every run that needs any of torchvision's models; so while
torchvision is loaded that function is one that fetches the real one when it is called.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

COMPILER = "torch._dynamo"
ASKED = f"{COMPILER}.utils"


def torchvision_models() -> ModuleType:
    """`torchvision.models`."""
    if "torchvision" not in sys.modules and COMPILER not in sys.modules:
        stand_ins = {COMPILER: _StandIn(COMPILER), ASKED: _StandIn(ASKED)}
        sys.modules.update(stand_ins)
        try:
            importlib.import_module("torchvision")
        finally:
            _remove(stand_ins)
    return importlib.import_module("torchvision.models")


class _StandIn(ModuleType):
    """Knows the one function; for anything else the real module is loaded after all."""

    def __init__(self, name: str):
        super().__init__(name)
        self.__path__: list[str] = []

    @staticmethod
    def is_compile_supported(device_type: str) -> bool:
        return importlib.import_module(ASKED).is_compile_supported(device_type)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        _remove({key: value for key, value in sys.modules.items() if isinstance(value, _StandIn)})
        return getattr(importlib.import_module(self.__name__), name)


def _remove(stand_ins: dict[str, ModuleType]) -> None:
    for name, module in stand_ins.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]
