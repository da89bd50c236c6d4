"""From stored pixels to the input of the network: the randomly augmented training view, and the evaluation view.

Every random number depends only on seed, epoch and sample, see `sampling.uniforms`. Before normalisation, images are uint8
(B, H, W, 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vision2.basics.preprocessing import Preprocessing
from vision2.data.augment import crops, mixing
from vision2.data.augment.colors import color_jitter, draw_operations, rand_augment
from vision2.data.sampling import uniforms
from vision2.data.settings import AugmentConfig

CACHED_VALUES = 2**17  # half a megabyte of float32


@dataclass(frozen=True)
class View:
    """How the images of a split become network input. `augment=None` is the evaluation view, which has no randomness."""

    preprocessing: Preprocessing
    augment: AugmentConfig | None
    seed: int
    num_classes: int

    def crop_one_by_one(self, images: list[np.ndarray], epoch: int, samples: np.ndarray) -> torch.Tensor:
        """(B, S, S, 3) from B images of any size; called in the threads that prepare batches."""
        size, how = self.preprocessing.image_size_px, self.preprocessing.interpolation
        batch = np.empty((len(images), size, size, 3), dtype=np.uint8)
        if not self._crops_at_random:
            for row, image in zip(batch, images, strict=True):
                row[:] = crops.evaluation_view(image, self.preprocessing)
            return torch.from_numpy(batch)
        if self.preprocessing.resize != "crop":  # crop at random from the square that evaluation shows, in a larger size
            images = [crops.whole_square(image, self._square_px, self.preprocessing) for image in images]
        sizes = np.array([image.shape[:2] for image in images])
        boxes = crops.random_resized_boxes(sizes, self._crop_draws(epoch, samples), self.augment.crop_scale_min)
        for row, image, (top, left, height, width) in zip(batch, images, boxes.tolist(), strict=True):
            row[:] = crops.resize(image[top : top + height, left : left + width], size, size, how)
        return torch.from_numpy(batch)

    def crop_together(self, images: torch.Tensor, epoch: int, samples: np.ndarray) -> torch.Tensor:
        """(B, S, S, 3) from (B, S0, S0, 3), on the device the images are on."""
        size, how, own = self.preprocessing.image_size_px, self.preprocessing.interpolation, images.shape[1]
        if self._crops_at_random:
            sizes = np.full((len(images), 2), own)
            boxes = crops.random_resized_boxes(sizes, self._crop_draws(epoch, samples), self.augment.crop_scale_min)
            return crops.resample(images, boxes, size, how)
        short = self._square_px if self.preprocessing.resize == "crop" else size
        if short != own:
            images = crops.resample(images, np.array([[0, 0, own, own]]), short, how)
        return crops.centre_crop(images, size)

    def finish(
        self, images: torch.Tensor, labels: torch.Tensor, epoch: int, samples: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Apply the steps that work on whole batches; return (normalised float32 (B, 3, S, S), channels last; targets)."""
        augment, device = self.augment, images.device
        if augment is None:
            return self.normalise(images), labels

        def draw(lane: str, count: int) -> np.ndarray:
            return uniforms(self.seed, epoch, lane, samples, count)

        if augment.crop == "pad":
            images = crops.pad_crop(images, draw("crop", 2), augment.crop_padding_px)
        if augment.flip:
            images = crops.flip(images, draw("flip", 1)[:, 0] < 0.5)
        if augment.rand_augment:
            images = rand_augment(images, *draw_operations(draw("rand_augment", 2 * augment.rand_augment)))
        if augment.color_jitter > 0:
            images = color_jitter(
                images, torch.from_numpy(draw("jitter", 3).astype(np.float32)).to(device), augment.color_jitter
            )
        normalised = self.normalise(images)
        if augment.erasing > 0:
            normalised = mixing.erase(normalised, draw("erasing", mixing.ERASING_DRAWS), augment.erasing)
        for mixed, alpha in ((mixing.mixup, augment.mixup), (mixing.cutmix, augment.cutmix)):  # at most one is on
            if alpha > 0:
                draws = draw("mix", mixing.MIX_DRAWS)
                return mixed(normalised, labels, draws, alpha=alpha, num_classes=self.num_classes)
        return normalised, labels

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (B, S, S, 3) to float32 (B, 3, S, S): (x / 255 - mean) / std per channel."""
        count, size = images.shape[:2]
        mean, std = (torch.tensor(values, dtype=torch.float64) for values in (self.preprocessing.mean, self.preprocessing.std))
        # One scale and one shift for each value of an image row: an inner loop over three channels is five times slower.
        scale = (1 / (255 * std)).float().repeat(size).to(images.device)
        shift = (-mean / std).float().repeat(size).to(images.device)
        rows = images.reshape(count, size, size * 3)
        out = torch.empty(rows.shape, dtype=torch.float32, device=images.device)
        # on a CPU, process parts that stay in its cache between the three passes
        step = max(1, CACHED_VALUES // rows[0].numel()) if images.device.type == "cpu" else count
        for start in range(0, count, step):
            part = slice(start, start + step)
            out[part].copy_(rows[part]).mul_(scale).add_(shift)
        return out.view(count, size, size, 3).permute(0, 3, 1, 2)

    @property
    def mixes(self) -> bool:
        """Whether an image is mixed with the next one of its batch."""
        return self.augment is not None and max(self.augment.mixup, self.augment.cutmix) > 0

    @property
    def _square_px(self) -> int:
        return max(self.preprocessing.resize_px, self.preprocessing.image_size_px)

    @property
    def _crops_at_random(self) -> bool:
        return self.augment is not None and self.augment.crop == "random_resized"

    def _crop_draws(self, epoch: int, samples: np.ndarray) -> np.ndarray:
        return uniforms(self.seed, epoch, "crop", samples, crops.CROP_DRAWS)
