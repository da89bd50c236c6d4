"""Read `torch.save` files that hold more than tensors, without importing or calling anything that they refer to.

Lightning, timm and torchvision save their settings with the tensors: an `argparse.Namespace`, NumPy scalars, objects of
their own classes. For each of these classes, torch's restricted unpickler is given an inert placeholder that only stores
items and attributes. Anything from Python's standard library that is not plain data is refused, because malicious pickles
use it to run code.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

PLAIN_DATA = {  # of the standard library: module -> classes that only hold values
    "argparse": ("Namespace",),
    "builtins": (
        "bytearray",
        "bytes",
        "complex",
        "dict",
        "float",
        "frozenset",
        "int",
        "list",
        "object",
        "range",
        "set",
        "slice",
    ),
    "_codecs": ("encode",),
    "collections": ("Counter", "OrderedDict", "defaultdict", "deque"),
    "copyreg": ("_reconstructor",),
    "datetime": ("date", "datetime", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "functools": ("partial",),
    "pathlib": ("Path", "PosixPath", "PurePath", "PurePosixPath", "WindowsPath"),
    "types": ("SimpleNamespace",),
    "typing": ("Any",),
    "uuid": ("UUID",),
}
OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # their names in Python 2, and so in pickle protocol 2
WITH_TUPLE_STATE = ("numpy.", "functools.partial")  # their state is a tuple, which `_Items` cannot restore
LEGACY_PICKLES = 4  # a file from before torch 1.6 begins with a magic number, a version, system information, the object


class _Items:
    """Placeholder for an instance of any class: a dict with its items, and with its attributes in `vars`.

    A Counter, because it is the only dict that torch's unpickler fills and that also accepts the state of `__slots__`.
    """

    def __new__(cls, *_arguments: Any) -> Counter:
        return Counter()


class _Opaque:
    """Placeholder for an instance whose state is not a dict; it keeps nothing."""

    def __new__(cls, *_arguments: Any) -> _Opaque:
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


def load_inert(path: Path) -> Any:
    """The content of the file on the CPU; placeholders replace all but tensors, containers and plain values.

    Raises:
        pickle.UnpicklingError: for a file that refers to code.
    """
    names = set(_global_names(path))
    code = sorted(name for name in names if _is_code(name))
    if code:
        raise pickle.UnpicklingError(f"refers to {code[0]}")
    foreign = [name for name in names if not name.startswith(WITH_TUPLE_STATE)]
    opaque = [(_Opaque, name) for name in names if name.startswith(WITH_TUPLE_STATE)]
    try:
        with torch.serialization.safe_globals([*opaque, *((_Items, name) for name in foreign)]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (ValueError, TypeError, AttributeError):  # a class whose state is not a dict
        pass
    try:
        with torch.serialization.safe_globals([(_Opaque, name) for name in names]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (ValueError, TypeError, AttributeError) as error:
        raise pickle.UnpicklingError(str(error)) from error


def _is_code(name: str) -> bool:
    module, _, last = name.rpartition(".")
    return name.partition(".")[0] in sys.stdlib_module_names and last not in PLAIN_DATA.get(module, ())


def _global_names(path: Path) -> Iterator[str]:
    """All classes and functions that the file's pickles refer to, as `module.name`."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            data = [archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")]
        pickles = [io.BytesIO(content) for content in data]
    else:
        pickles = [io.BytesIO(path.read_bytes())] * LEGACY_PICKLES
    for stream in pickles:
        for code, argument, _ in pickletools.genops(stream):
            if code.name == "GLOBAL":
                module, _, name = argument.partition(" ")
                yield f"{OLD_MODULES.get(module, module)}.{name}"
