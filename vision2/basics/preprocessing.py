"""How an image becomes a network's input. Saved with the weights in the checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CROP_SHARE = 0.875  # images are stored at size / 0.875: the 256 px for 224 px that are usual for evaluation on ImageNet


@dataclass(frozen=True)
class Preprocessing:
    """Resize to a square of `image_size_px`, scale to [0, 1], then (x - mean) / std per channel.

    `resize` says how an image becomes a square: "crop" (shorter side to `resize_px`, then the centre), "squash" (the
    whole image, ignoring its aspect ratio) or "pad" (the whole image between bars of the mean colour). Checkpoints
    older than this setting use "crop".

    Training draws its own crop (see `AugmentConfig`) and produces the same size and scale.
    """

    image_size_px: int
    resize_px: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bilinear"  # bilinear | bicubic
    resize: str = "crop"  # crop | squash | pad

    def at_size(self, image_size_px: int) -> Preprocessing:
        """The same preprocessing at another size; the ratio of resize to crop is kept."""
        resize_px = round(image_size_px * self.resize_px / self.image_size_px)
        return replace(self, image_size_px=image_size_px, resize_px=resize_px)

    def to_dict(self) -> dict:
        return asdict(self)

    @staticmethod
    def from_dict(values: dict) -> Preprocessing:
        values = dict(values)
        return Preprocessing(**values | {"mean": tuple(values["mean"]), "std": tuple(values["std"])})
