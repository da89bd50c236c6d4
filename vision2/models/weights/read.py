"""Read a file of weights, whatever program wrote it, without executing anything in it."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vision2.basics.errors import UserError
from vision2.basics.run_files import BEST
from vision2.models.weights.inert import load_inert

INDEX = ".index.json"  # end of the name of a shard index: which of several files holds which tensor
IN_FOLDER = (BEST, f"model.safetensors{INDEX}", "model.safetensors", f"pytorch_model.bin{INDEX}", "pytorch_model.bin")
HEADER = "__metadata__"  # key of the text in a safetensors header, in what `read_file` returns
ASIDE = re.compile("optim|(lr_)?sched|scaler|callbacks|loops|rng")  # parts of a training checkpoint that hold no weights
READ_ERRORS = (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError, AttributeError, TypeError)


def sha256_of(*paths: Path) -> str:
    """The sha256 of a file, or of several files as if they were one."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def checked_sha256(path: Path, wanted: str | None) -> str:
    """The file's sha256, which must begin with `wanted` (torchvision's file names contain the first 8 digits).

    Raises:
        UserError: if it does not.
    """
    found = sha256_of(path, *(shards_of(path) if path.name.endswith(INDEX) else ()))
    if wanted and not found.startswith(wanted.lower()):
        raise UserError(
            f"{path} is not the expected file: its sha256 begins with {found[:12]}, expected {wanted[:12]};"
            " delete it and download it again, or correct weights.sha256 if you set it"
        )
    return found


def file_at(place: Path) -> Path:
    """The file of weights at `place`: the file itself, or the first of the usual names in a folder.

    Raises:
        UserError: when there is none.
    """
    names = IN_FOLDER if place.is_dir() else ()
    path = next((place / name for name in names if (place / name).is_file()), place / IN_FOLDER[0] if names else place)
    if not path.is_file():
        raise UserError(
            f"weights.path={place}: {path} does not exist; give a .pth or .safetensors file, or a folder with best.pt,"
            " model.safetensors or pytorch_model.bin"
        )
    return path


def read_file(path: Path) -> dict[str, Any]:
    """The dict in a `.safetensors` file, a `torch.save` file, or all files of an index, on the CPU.

    Raises:
        UserError: for a damaged file, and for one that refers to code.
    """
    if path.name.endswith(INDEX):
        return {name: value for shard in shards_of(path) for name, value in read_file(shard).items()}
    try:
        content = _read_safetensors(path) if path.suffix == ".safetensors" else load_tensors(path)
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
        raise UserError(f"{path} contains a {type(content).__name__}, not a dict of tensors; save model.state_dict() instead")
    return content


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stored:
        content: dict[str, Any] = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a mapping
        return content | {HEADER: dict(stored.metadata() or {})}


def shards_of(index: Path) -> list[Path]:
    """The files that an index lists, which must be in its folder.

    Raises:
        UserError: for a damaged index, a name outside its folder, and a missing file.
    """
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is not an index of weights (it has no weight_map); download it again") from error
    for name in names:
        if Path(name).name != name or not (index.parent / name).is_file():
            raise UserError(f"{index.name} names {name}, which is not in {index.parent}; put all of the index's files there")
    return [index.parent / name for name in names]


def load_tensors(path: Path) -> Any:
    """The content of a `torch.save` file, on the CPU; no code in it is run, and torch's warnings about old files are hidden."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            content = load_inert(path)
    return _with_current_names(content) if isinstance(content, dict) and content.get("format") == 1 else content


def _with_current_names(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of format 1, which called the backbone `body`, converted to format 2."""
    old, new = re.compile(r"^(module\.)?body\."), r"\1backbone."
    renamed = {
        key: {old.sub(new, name): value for name, value in checkpoint[key].items()}
        for key in ("model", "averaged")
        if isinstance(checkpoint.get(key), dict)
    }
    return {**checkpoint, **renamed, "format": 2}


def tensors_of(content: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """All tensors in a file's dict, in order, as float32; their names include the keys of the enclosing dicts.

    Raises:
        UserError: when there are none.
    """
    tensors = dict(_flattened(content, ""))
    if not tensors:
        keys = ", ".join(map(str, list(content)[:5])) or "none"
        raise UserError(f"{path} contains no tensors (its keys: {keys}); save model.state_dict() instead")
    return tensors


def _flattened(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        if value.layout == torch.strided and not value.is_quantized:
            yield name, value.detach().float() if value.is_floating_point() else value.detach()
    elif isinstance(value, dict):
        dot = f"{name}." if name else ""
        saved_whole = vars(value) if hasattr(value, "__dict__") else {}  # a module: torch.save(model, FILE)
        for part in ("_parameters", "_buffers", "_modules"):
            if isinstance(saved_whole.get(part), dict):
                yield from _flattened(saved_whole[part], name)
        for key, inside in value.items():
            if isinstance(key, str) and not (isinstance(inside, dict) and ASIDE.match(key)):
                yield from _flattened(inside, dot + key)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].partition("  (Could")[0][:150]
