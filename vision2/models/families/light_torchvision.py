"""Import torchvision's models without waiting for torch's compiler.

torchvision.ops imports one function from torch._dynamo, which only its detection operators call. Importing torch._dynamo
takes longer than importing torch itself, so torchvision is imported with a stub of that function, which imports and calls
the real one when it is called.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

COMPILER = ("torch._dynamo", "torch._dynamo.utils")


def torchvision_models() -> ModuleType:
    """`torchvision.models`; if the stub does not work, torchvision is imported as usual."""
    if not sys.modules.keys() & {"torchvision", *COMPILER}:
        sys.modules.update({name: _Stub(name) for name in COMPILER})
        try:
            importlib.import_module("torchvision")
        except Exception:  # this torchvision needs more of the compiler: undo the attempt
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
        finally:
            _remove_stubs()
    return importlib.import_module("torchvision.models")


class _Stub(ModuleType):
    """Provides that one function; any other attribute imports the real module."""

    @staticmethod
    def is_compile_supported(device_type: str) -> bool:
        return importlib.import_module("torch._dynamo.utils").is_compile_supported(device_type)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # looked up by the import system
            raise AttributeError(name)
        _remove_stubs()
        return getattr(importlib.import_module(self.__name__), name)


def _remove_stubs() -> None:
    for name in COMPILER:
        if isinstance(sys.modules.get(name), _Stub):
            del sys.modules[name]
