"""Zero-shot classification by image and text (CLIP, Radford et al. 2021, arXiv 2103.00020), with any open_clip checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from vision2.basics.errors import UserError, suggest
from vision2.basics.preprocessing import Preprocessing

PLACE = "{}"  # of the class name in a prompt
INTERPOLATIONS = ("bilinear", "bicubic")


class ImageText(NamedTuple):
    """A network for images and text with its tokenizer, and the preprocessing its images need."""

    network: Any
    tokenizer: Any
    preprocessing: Preprocessing


def open_image_text(name: str, checkpoint: str, device: torch.device) -> ImageText:
    """The open_clip network `name` with a local checkpoint (.safetensors or tensors only) or a published set by its name.

    Raises:
        UserError: if open_clip is not installed, for an unknown name, or for a checkpoint that cannot be loaded.
    """
    try:
        import open_clip
    except ImportError as error:
        raise UserError("method=image_text needs open_clip; install it with pip install 'vision2[open_clip]'") from error
    if name not in open_clip.list_models():
        raise UserError(f"clip: unknown network '{name}'{suggest(name, open_clip.list_models())}")
    published = open_clip.list_pretrained_tags_by_model(name)
    file = Path(checkpoint).expanduser()
    if not file.is_file() and checkpoint not in published:
        known = suggest(checkpoint, published)
        raise UserError(f"clip_weights={checkpoint} is neither a file nor a published set of {name}{known}")
    source = str(file) if file.is_file() else checkpoint
    try:  # weights_only: a checkpoint is read as tensors, nothing in it is executed
        network = open_clip.create_model(name, pretrained=source, weights_only=True, device=device, pretrained_text=False)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # pickled code, other shapes, no route: each library has its own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"clip_weights={checkpoint} cannot be loaded into {name} ({reason}); give a .safetensors file or a file of tensors"
            " made for this network"
        ) from error
    return ImageText(network.eval(), tokenizer, _preprocessing(network.visual))


def _preprocessing(visual: Any) -> Preprocessing:
    wanted = visual.preprocess_cfg
    size = wanted["size"][0] if isinstance(wanted["size"], tuple | list) else wanted["size"]
    interpolation = wanted.get("interpolation", "bicubic")
    return Preprocessing(
        size, size, tuple(wanted["mean"]), tuple(wanted["std"]), interpolation if interpolation in INTERPOLATIONS else "bicubic"
    )


def check_prompts(prompts: Sequence[str]) -> None:
    """Raise UserError for a prompt without one place for the name."""
    for prompt in prompts:
        if prompt.count(PLACE) != 1:
            raise UserError(f"the prompt '{prompt}' needs the place of the class name once, e.g. 'a photo of a {PLACE}.'")


@torch.inference_mode()
def text_embeddings(model: ImageText, names: Sequence[str], prompts: Sequence[str]) -> torch.Tensor:
    """(C, D) unit vectors: for each name, the mean over its prompts (Radford et al. 2021, section 3.1.4)."""
    device = next(model.network.parameters()).device
    rows = []
    for name in names:
        texts = model.tokenizer([prompt.replace(PLACE, name) for prompt in prompts]).to(device)
        rows.append(model.network.encode_text(texts, normalize=True).float().mean(0))
    return torch.nn.functional.normalize(torch.stack(rows), dim=1)


@torch.inference_mode()
def image_text_scores(model: ImageText, batches: Any, texts: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Cosine similarities (N, C) and labels (N,), in the order of the split."""
    scores, labels, indices = [], [], []
    for batch in batches.epoch(0):
        scores.append((model.network.encode_image(batch.images, normalize=True).float() @ texts.T).cpu())
        labels.append(batch.labels.cpu())
        indices.append(torch.as_tensor(batch.indices).cpu())
    order = torch.cat(indices).argsort()
    return torch.cat(scores)[order].numpy(), torch.cat(labels)[order].numpy()
