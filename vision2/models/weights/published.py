"""Published weights by name, from the libraries' own caches or downloaded; the hash is checked either way."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path
from typing import NamedTuple

import torch

from vision2.basics.errors import UserError, suggest
from vision2.basics.preprocessing import Preprocessing
from vision2.models.cards import ModelCard
from vision2.models.families.light_torchvision import torchvision_models
from vision2.models.weights.read import checked_sha256

ANSWER_WITHIN_S = 10  # a slower server counts as unreachable, so that a run without internet fails at once
INPUT_TRANSFORMED = ("googlenet", "inception_v3")  # torchvision re-normalises inside the network; see `published_file`


class Published(NamedTuple):
    """A file of published weights, and the preprocessing they expect."""

    name: str  # e.g. "torchvision resnet50 IMAGENET1K_V2"
    path: Path
    sha256: str
    preprocessing: Preprocessing
    is_imagenet: bool  # its head is for ImageNet's 1000 classes


def published_file(card: ModelCard, name: str) -> Published:
    """The file of one published set; `name` is one of `card.weights` or "default".

    torchvision's GoogLeNet and Inception v3 turn ImageNet-normalised input into (x - 0.5) / 0.5 inside the network. Here
    the preprocessing does so, and `transform_input` stays off.

    Raises:
        UserError: for a set that does not exist or is not available, and for a damaged file.
    """
    if not card.weights:
        note = f" ({card.note})" if card.note else ""
        hint = "give a file with weights.path=FILE, or train from scratch with strategy=scratch"
        raise UserError(f"{card.name} has no published weights{note}; {hint}")
    wanted = card.weights[-1] if name == "default" else name
    if wanted not in card.weights:
        raise UserError(f"{card.name} has no weights '{name}'{suggest(name, ['default', *card.weights])}")
    return _timm_file(card, wanted) if card.library == "timm" else _torchvision_file(card, wanted)


def _torchvision_file(card: ModelCard, name: str) -> Published:
    weights = torchvision_models().get_model_weights(card.name)[name]
    path, sha256 = _from_hub(weights.url, card.name)
    transforms = weights.transforms()
    preprocessing = Preprocessing(
        transforms.crop_size[0],
        transforms.resize_size[0],
        tuple(transforms.mean),
        tuple(transforms.std),
        transforms.interpolation.value,
    )
    if card.family in INPUT_TRANSFORMED:
        preprocessing = card.preprocessing
    return Published(f"torchvision {card.name} {name}", path, sha256, preprocessing, is_imagenet=True)


def _timm_file(card: ModelCard, tag: str) -> Published:
    import timm

    from vision2.models.families.timm_networks import TIMM_NAMES, preprocessing_of

    architecture = TIMM_NAMES.get(card.name, card.name).partition(".")[0]
    config = timm.get_pretrained_cfg(f"{architecture}.{tag}")
    if config.hf_hub_id:
        path, sha256 = _from_hugging_face(config.hf_hub_id, config.hf_hub_filename, card.name)
    else:
        path, sha256 = _from_hub(config.url, card.name)
    return Published(f"timm {architecture}.{tag}", path, sha256, preprocessing_of(config), "in1k" in tag)


def _from_hub(url: str, model: str) -> tuple[Path, str]:
    """A file in `hub/checkpoints` under TORCH_HOME; torchvision's file names contain the first digits of the sha256."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rpartition("/")[2]
    prefix = re.search(r"-([a-f0-9]{8,})\.", path.name)
    if not path.is_file():
        try:
            _check_reachable(url)
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), prefix[1] if prefix else None)
        except (OSError, RuntimeError, ValueError) as error:  # no route, refused, wrong hash
            raise _unavailable(model, path.name, folder, error) from error
    return path, checked_sha256(path, prefix[1] if prefix else None)


def _from_hugging_face(repository: str, file: str | None, model: str) -> tuple[Path, str]:
    """A file in the hub's cache (HF_HOME), which names each stored file by its sha256."""
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    names = [file] if file else ["model.safetensors", "pytorch_model.bin"]
    found = next((p for n in names if isinstance(p := try_to_load_from_cache(repository, n), str)), None)
    if found is None:
        try:
            if constants.HF_HUB_OFFLINE:
                raise OSError("HF_HUB_OFFLINE is set")
            _check_reachable(
                f"{constants.ENDPOINT}/{repository}/resolve/main/{names[0]}"
            )  # the hub's client would retry for 46 s
            found = hf_hub_download(repository, names[0])
        except (OSError, ValueError) as error:
            raise _unavailable(model, f"{repository}/{names[0]}", Path(constants.HF_HUB_CACHE), error) from error
    path = Path(found)
    stored = path.resolve().name
    return path, checked_sha256(path, stored if re.fullmatch(r"[0-9a-f]{64}", stored) else None)


def _check_reachable(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=ANSWER_WITHIN_S).close()


def _unavailable(model: str, file: str, folder: Path, error: Exception) -> UserError:
    reason = str(getattr(error, "reason", "") or error).splitlines()[0][:120]
    return UserError(
        f"the weights of {model} ({file}) are not in {folder} and cannot be downloaded ({reason}); copy them there"
        " from another machine's cache, give a file with weights.path=FILE, or train from scratch with strategy=scratch"
    )
