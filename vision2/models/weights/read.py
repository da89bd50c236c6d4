"""Reading a file of weights, whatever program wrote it, without executing anything in it."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vision2.basics.errors import UserError

WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which training scripts keep the tensors
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
READ_ERRORS = (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError, AttributeError)


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checked_sha256(path: Path, wanted: str | None) -> str:
    """The file's sha256, equal to `wanted` or beginning with it (torchvision keeps 8 digits in the file name).

    Raises:
        UserError: when it is another file.
    """
    found = sha256_of(path)
    if wanted and not found.startswith(wanted.lower()):
        raise UserError(
            f"{path} is not the file it should be: its sha256 begins with {found[:12]}, expected {wanted[:12]};"
            " delete it and download it again"
        )
    return found


def read_file(path: Path) -> dict[str, Any]:
    """The dict in a `.safetensors` file, or in a file that `torch.save` wrote, with tensors on the CPU.

    Raises:
        UserError: for a damaged file, and for one that contains more than tensors and plain values.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = load_tensors(path)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is damaged or contains code besides tensors, which is never run; save it again with"
            " torch.save(model.state_dict(), FILE) or as .safetensors"
        ) from error
    except Exception as error:
        if isinstance(error, READ_ERRORS) or type(error).__module__.startswith("safetensors"):
            raise UserError(
                f"{path} is damaged or contains no weights ({_first_line(error)}); download or save it again"
            ) from error
        raise
    if not isinstance(content, dict):
        raise UserError(f"{path} contains a {type(content).__name__}, not a dict of tensors; save model.state_dict()")
    return content


def load_tensors(path: Path) -> Any:
    """What `torch.save` wrote, on the CPU; nothing in it is executed, and torch's warnings about old files are not shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = torch.load(path, map_location="cpu", weights_only=True)
    return _with_current_names(content) if isinstance(content, dict) and content.get("format") == 1 else content


def _with_current_names(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of format 1, which called the backbone `body`, as format 2 has it."""
    old, new = re.compile(r"^(module\.)?body\."), r"\1backbone."
    renamed = {
        key: {old.sub(new, name): value for name, value in checkpoint[key].items()}
        for key in ("model", "averaged")
        if isinstance(checkpoint.get(key), dict)
    }
    return {**checkpoint, **renamed, "format": 2}


def tensors_of(content: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """The tensors in a file's dict, without the wrappers and prefixes that training scripts put around them.

    Raises:
        UserError: when there are none.
    """
    for key in WRAPPERS:
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f"{path} contains no tensors; its keys are {', '.join(map(str, list(content)[:5])) or 'none'}")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].partition("  (Could")[0][:150]
