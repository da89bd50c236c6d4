"""torchvision's models without the wait for torch's compiler.

torchvision.ops imports one function of torch._dynamo, which only its detection operators call. Importing torch._dynamo
takes longer than importing torch itself, so while torchvision is imported that function is a stand-in, which fetches the
real one when it is called.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

COMPILER = ("torch._dynamo", "torch._dynamo.utils")


def torchvision_models() -> ModuleType:
    """`torchvision.models`; whatever goes wrong with the stand-in, torchvision is imported as usual."""
    if not sys.modules.keys() & {"torchvision", *COMPILER}:
        sys.modules.update({name: _StandIn(name) for name in COMPILER})
        try:
            importlib.import_module("torchvision")
        except Exception:  # this torchvision needs more of the compiler: forget the attempt
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
        finally:
            _remove_stand_ins()
    return importlib.import_module("torchvision.models")


class _StandIn(ModuleType):
    """Has the one function; for any other attribute the real module is imported after all."""

    @staticmethod
    def is_compile_supported(device_type: str) -> bool:
        return importlib.import_module("torch._dynamo.utils").is_compile_supported(device_type)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # the import system asks for these
            raise AttributeError(name)
        _remove_stand_ins()
        return getattr(importlib.import_module(self.__name__), name)


def _remove_stand_ins() -> None:
    for name in COMPILER:
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]
