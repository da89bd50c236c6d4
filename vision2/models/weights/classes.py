"""Which classes a file's head is for: only what the file itself or the user states, never a guess."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vision2.basics.errors import UserError
from vision2.models.families.light_torchvision import torchvision_models
from vision2.models.weights.read import HEADER

IMAGENET_CLASSES = 1000
IMAGENET = re.compile(r"imagenet(?!.?(?:2[12]k|v2|a\b|r\b))|in.?1k|ilsvrc", re.IGNORECASE)  # in a file's name or metadata
NAME_KEYS = ("classes", "class_names", "categories", "labels", "class_to_idx")


def imagenet_classes() -> tuple[str, ...]:
    """ImageNet's 1000 class names in order, as in torchvision."""
    return tuple(torchvision_models().ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def named_classes(content: dict[str, Any]) -> tuple[str, ...] | None:
    """The class names that a training script saved with the tensors."""
    for value in (content.get(key) for key in NAME_KEYS):
        names = _in_order(value) if isinstance(value, dict | list | tuple) and len(value) > 1 else None
        if names:
            return names
    return None


def _in_order(value: dict | Sequence) -> tuple[str, ...] | None:
    """The names in a list, {number: name} or {name: number}, in order; None for anything else."""
    if isinstance(value, dict):
        numbers = [str(number) for number in range(len(value))]
        by_number = {str(key): name for key, name in value.items()}
        if sorted(by_number) != sorted(numbers):
            by_number = {str(number): name for name, number in value.items()}
        if sorted(by_number) != sorted(numbers):
            return None
        value = [by_number[number] for number in numbers]
    return tuple(value) if all(isinstance(name, str) for name in value) and len(set(value)) == len(value) else None


def says_imagenet(path: Path, content: dict[str, Any]) -> bool:
    """Whether the file's name, header or saved settings mention ImageNet's 1000 classes."""
    settings = [vars(value) for value in content.values() if hasattr(value, "__dict__")]  # an argparse.Namespace
    texts = [value for part in (content, content.get(HEADER, {}), *settings) for value in part.values()]
    return any(isinstance(text, str) and IMAGENET.search(text) for text in (path.name, *texts))


def read_classes(file: str) -> tuple[str, ...]:
    """The names in `weights.classes=FILE`: one per line, or a JSON list or dict; `imagenet` means its 1000.

    Raises:
        UserError: for a file that cannot be read or has no class names.
    """
    if file == "imagenet":
        return imagenet_classes()
    path = Path(file).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = _in_order(json.loads(text)) if path.suffix == ".json" else _in_order(text.splitlines())
    except (OSError, ValueError) as error:
        raise UserError(f"weights.classes={file} cannot be read ({error}); give a text file with one class per line") from error
    if not names:
        raise UserError(f"weights.classes={file} does not list distinct class names; write one class per line")
    return tuple(name.strip() for name in names)
