"""Files of `torch.save` that hold more than tensors, read without importing or calling anything that they name.

Lightning, timm and torchvision save their settings beside the tensors: an `argparse.Namespace`, NumPy scalars, objects of
their own classes. torch's restricted reader meets a stand-in for each of these classes: it keeps items and attributes and
does nothing. Names from Python's standard library are refused unless they are plain data, because that is how a pickle runs
code.
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
OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # as Python 2, and so pickle protocol 2, calls them
WITH_TUPLE_STATE = ("numpy.", "functools.partial")  # restored from a tuple, which a dict cannot take
LEGACY_PICKLES = 4  # before its tensors, a file from before torch 1.6 holds a magic number, a version, facts, the object


class _Items:
    """Stands for an instance of any class: a dict that keeps its items, and its attributes in `vars`.

    A Counter, because of the three dicts that torch's reader fills it is the one that takes the state of `__slots__` too.
    """

    def __new__(cls, *_arguments: Any) -> Counter:
        return Counter()


class _Opaque:
    """Stands for an instance whose state is not a dict; nothing of it is kept."""

    def __new__(cls, *_arguments: Any) -> _Opaque:
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


def load_inert(path: Path) -> Any:
    """The content of the file on the CPU; objects other than tensors, containers and plain values are stand-ins.

    Raises:
        pickle.UnpicklingError: for a file that names code.
    """
    names = set(_global_names(path))
    code = sorted(name for name in names if _is_code(name))
    if code:
        raise pickle.UnpicklingError(f"names {code[0]}")
    foreign = [name for name in names if not name.startswith(WITH_TUPLE_STATE)]
    opaque = [(_Opaque, name) for name in names if name.startswith(WITH_TUPLE_STATE)]
    try:
        with torch.serialization.safe_globals([*opaque, *((_Items, name) for name in foreign)]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (ValueError, TypeError, AttributeError):  # a class with another kind of state than a dict
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
    """Every class and function that the file's pickles name, as `module.name`."""
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
