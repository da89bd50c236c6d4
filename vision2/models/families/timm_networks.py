"""timm networks: Inception v4, Xception, MobileNet v1, and any other backbone by its timm name."""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import nn

from vision2.basics.errors import UserError, suggest
from vision2.basics.preprocessing import Preprocessing
from vision2.models.cards import ModelCard
from vision2.models.families.small_stems import SMALL_STEMS
from vision2.models.families.stages import stages_of
from vision2.models.network import NetworkParts

TIMM_NAMES = {"inception_v4": "inception_v4", "xception": "legacy_xception", "mobilenet_v1": "mobilenetv1_100"}
LEAST_PX = 32  # timm publishes no minimum; a size that a network cannot process is refused when it is built


def build_timm(card: ModelCard, num_classes: int, *, stem: str, width: float, image_size_px: int) -> NetworkParts:
    """A network of `TIMM_NAMES`, or any other by its timm name, with a linear layer as its head.

    Raises:
        UserError: for a network that cannot process images of this size or does not return feature vectors.
    """
    if card.family == "mobilenet_v1":
        backbone = _mobilenet_v1(width)
    else:
        backbone = _created(TIMM_NAMES.get(card.name, card.name), image_size_px)
    features = backbone.num_features
    if card.family == "timm":
        features = _probed_width(card, image_size_px)
    head, head_key = nn.Linear(features, num_classes), backbone.pretrained_cfg.get("classifier")
    stages = stages_of(backbone, card.family)
    parts = NetworkParts(backbone, head, stages, head_key if isinstance(head_key, str) else None)
    if stem == "small":
        SMALL_STEMS[card.family](parts)
    return parts


def _created(name: str, image_size_px: int) -> nn.Module:
    import timm

    config = timm.get_pretrained_cfg(name)
    if config is not None and config.fixed_input_size:
        with suppress(TypeError):  # a few of these families do not accept img_size
            return timm.create_model(name, pretrained=False, num_classes=0, img_size=image_size_px)
    return timm.create_model(name, pretrained=False, num_classes=0)


def _probed_width(card: ModelCard, image_size_px: int) -> int:
    """The length of the feature vector, from a forward pass on the meta device: not every `num_features` is right."""
    try:
        with torch.device("meta"), torch.no_grad():
            backbone = _created(card.name, image_size_px).eval()
            shape = tuple(backbone(torch.empty(1, 3, image_size_px, image_size_px)).shape)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(
            f"timm's {card.name} cannot take images of {image_size_px} px ({reason});"
            f" set dataset.image_size_px={card.image_size_px}, its own size"
        ) from error
    if len(shape) != 2:
        raise UserError(
            f"timm's {card.name} returns features of shape {shape[1:]}, not one vector per image; choose another model"
        )
    return shape[1]


def _mobilenet_v1(width: float) -> nn.Module:
    """MobileNet v1 with the padding and batch-norm epsilon of TensorFlow's release."""
    settings = {"num_classes": 0, "pad_type": "same", "bn_eps": 1e-3}
    if width == 1.0:
        import timm

        return timm.create_model("mobilenetv1_100", **settings)
    try:
        from timm.models.efficientnet import _gen_mobilenet_v1  # private, but `create_model` accepts no width
    except ImportError as error:
        raise UserError(
            f"the installed timm builds mobilenet_v1 at its full width only; leave out model.width={width:g}"
        ) from error
    return _gen_mobilenet_v1("mobilenetv1_100", width, **settings)


def timm_card(name: str) -> ModelCard:
    """The card of any timm backbone; `name` may include a weight tag, as in `resnet50.a1_in1k`.

    Raises:
        UserError: for a name or tag that timm does not have.
    """
    import timm

    name = current_name(name)
    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        raise UserError(f"timm has no model '{base}'{suggest(base, timm.list_models())}")
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{base}.*")]
    if tag and tag not in tags:
        hint = suggest(tag, tags) or f"; use model.name={base}"
        raise UserError(f"timm's {base} has no weights '{tag}'{hint}")
    config = timm.get_pretrained_cfg(name) or timm.get_pretrained_cfg(base)
    default = tag or (config.tag if config is not None else "") or ""
    tags = [t for t in tags if t != default] + [t for t in tags if t == default]
    return ModelCard(
        name=name,
        family="timm",
        library="timm",
        paper=("", ""),
        year=0,
        preprocessing=preprocessing_of(config),
        source="timm (its published numbers are not in the catalogue)",
        min_size_px=LEAST_PX,
        weights=tuple(tags),
    )


def current_name(name: str) -> str:
    """timm's current name for a model: `vit_base_patch16_224_in21k` is now `vit_base_patch16_224.augreg_in21k`.

    Raises:
        UserError: for a model that timm has removed.
    """
    from timm.models._registry import get_deprecated_models  # not exported, but the only table of old names

    renamed = get_deprecated_models()
    if name in renamed and renamed[name] is None:
        raise UserError(f"timm has removed {name}; choose another model from `timm.list_models()`")
    return renamed.get(name, name)


def preprocessing_of(config) -> Preprocessing:
    """timm's pretrained configuration as a `Preprocessing`; ImageNet's at 224 px if there is none."""
    if config is None:
        return Preprocessing(224, 256)
    size = config.input_size[-1]
    interpolation = config.interpolation if config.interpolation in ("bilinear", "bicubic") else "bicubic"
    return Preprocessing(size, int(size / config.crop_pct), tuple(config.mean), tuple(config.std), interpolation)
