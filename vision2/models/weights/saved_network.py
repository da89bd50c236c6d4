"""What a vision2 checkpoint says about its network, checked because another version or program may have written it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import Preprocessing
from vision2.models.settings import ModelConfig

PARTS = {"model": dict, "model_config": dict, "preprocessing": dict, "classes": list | tuple}
CLASSIFIER_KEYS = {"kind", "layer", "pooling"}


@dataclass(frozen=True, eq=False)
class SavedNetwork:
    """`classifier` records the cut and the head of a network that was cut after a layer; None for the usual one."""

    tensors: dict[str, Any]
    model_config: dict[str, Any]
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    classifier: dict | None

    def model(self, place: str | Path) -> ModelConfig:
        """The model's settings. Raises UserError if they are not those of this version; `place` names the checkpoint."""
        try:
            return ModelConfig(**self.model_config)
        except TypeError as error:
            raise _other_version(place, "model_config", error) from error


def saved_network(content: Mapping[str, Any], place: str | Path) -> SavedNetwork:
    """The network in the content of a checkpoint; `place` names the checkpoint in messages.

    Raises:
        UserError: if a part is missing, or another version wrote it.
    """
    require(content, PARTS, place)
    classifier = content.get("classifier")
    if classifier is not None and not (isinstance(classifier, dict) and classifier.keys() >= CLASSIFIER_KEYS):
        raise incomplete(place, "classifier")
    try:
        preprocessing = Preprocessing.from_dict(content["preprocessing"])
    except (KeyError, TypeError) as error:
        raise _other_version(place, "preprocessing", error) from error
    return SavedNetwork(content["model"], content["model_config"], preprocessing, tuple(content["classes"]), classifier)


def require(content: Mapping[str, Any], parts: Mapping[str, Any], place: str | Path) -> None:
    """Check that a checkpoint has these parts and that they are of these types.

    Raises:
        UserError: with the names of those that are missing or of another type.
    """
    wrong = [name for name, kind in parts.items() if name not in content or not isinstance(content[name], kind)]
    if wrong:
        raise incomplete(place, *wrong)


def incomplete(place: str | Path, *parts: str) -> UserError:
    return UserError(
        f"{place} is not a complete vision2 checkpoint ({', '.join(parts)}); use another checkpoint or train again"
    )


def _other_version(place: str | Path, part: str, error: Exception) -> UserError:
    reason = f"no {error}" if isinstance(error, KeyError) else str(error).rpartition("__init__() ")[2]
    return UserError(f"{place} was written by another version of vision2 ({part}: {reason}); use that version or train again")
