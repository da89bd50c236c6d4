from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from made_up_images import pixels
from PIL import Image
from torchvision.transforms import InterpolationMode, functional
from torchvision.transforms.autoaugment import _apply_op

from vision2.data.augment import colors
from vision2.data.augment.colors import OPERATIONS, draw_operations, rand_augment, warp, warp_matrix


def batch() -> torch.Tensor:
    return torch.from_numpy(np.stack([pixels(seed, width=32, height=32) for seed in range(4)]))


def draws(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (colors.brightness, functional.adjust_brightness),
        (colors.contrast, functional.adjust_contrast),
        (colors.saturation, functional.adjust_saturation),
    ],
)
def test_colour_changes_are_those_of_pillow(ours, theirs):
    images, factors = batch(), torch.tensor([0.0, 0.4, 1.0, 1.7])
    for image, factor, result in zip(images, factors, ours(images, factors), strict=True):
        expected = np.asarray(theirs(Image.fromarray(image.numpy()), float(factor)))
        assert np.abs(expected.astype(int) - result.numpy()).max() <= 1


def test_colour_jitter_stays_within_its_strength():
    grey = torch.full((200, 4, 4, 3), 100, dtype=torch.uint8)
    values = colors.color_jitter(grey, torch.from_numpy(draws(200, 3)).float(), 0.3)[:, 0, 0, 0]
    assert values.min() >= 70
    assert values.max() <= 130
    assert values.float().std() > 10
    assert torch.equal(colors.color_jitter(grey, torch.full((200, 3), 0.5), 0.3), grey)


# RandAugment

MAGNITUDES = {
    "identity": 0.0,
    "shear_x": 0.09,
    "shear_y": 0.09,
    "translate_x": int(150 / 331 * 32 * 0.3),
    "translate_y": int(150 / 331 * 32 * 0.3),
    "rotate": 9.0,
    "brightness": 0.27,
    "color": 0.27,
    "contrast": 0.27,
    "sharpness": 0.27,
    "posterize": 7,
    "solarize": 178.5,
    "autocontrast": 0.0,
    "equalize": 0.0,
}
NAMES = {
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateX",
    "translate_y": "TranslateY",
    "autocontrast": "AutoContrast",
}


def by_torchvision(image: np.ndarray, name: str, magnitude: float) -> np.ndarray:
    picture, nearest = Image.fromarray(image), InterpolationMode.NEAREST
    if name.startswith("shear"):  # torchvision's RandAugment shears about the corner, ours about the centre
        shear = [math.degrees(math.atan(magnitude)) * (name == f"shear_{axis}") for axis in "xy"]
        return np.asarray(functional.affine(picture, 0.0, [0, 0], 1.0, shear, nearest))
    return np.asarray(_apply_op(picture, NAMES.get(name, name.title()), magnitude, nearest, fill=[0, 0, 0]))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_every_operation_does_what_torchvisions_does(name, sign):
    signed = name not in ("identity", "posterize", "solarize", "autocontrast", "equalize")
    images = batch()
    ours = OPERATIONS[name](images, torch.full((4,), sign)).numpy()
    for image, result in zip(images.numpy(), ours, strict=True):
        expected = by_torchvision(image, name, MAGNITUDES[name] * (sign if signed else 1))
        close = np.abs(expected.astype(int) - result).max(axis=2) <= 1
        # nearest-neighbour interpolation may round either way
        assert close.mean() > (0.9 if name in ("shear_x", "shear_y", "rotate") else 0.99)


def test_a_rotation_by_a_right_angle_is_exact():
    one = torch.ones(4)
    turned = warp(batch(), warp_matrix(one, a=one * 0, b=-one, d=one, e=one * 0))
    np.testing.assert_array_equal(turned.numpy(), np.rot90(batch().numpy(), axes=(1, 2)))


def test_operations_are_drawn_evenly_and_applied_to_each_image_independently():
    operations, signs = draw_operations(draws(7000, 4))
    counts = np.bincount(operations.ravel(), minlength=len(OPERATIONS))
    assert len(counts) == 14
    np.testing.assert_allclose(counts / counts.sum(), 1 / 14, atol=0.01)
    assert set(signs.ravel()) == {-1.0, 1.0}
    images = batch()
    operations, signs = draw_operations(draws(4, 4, seed=3))
    whole = rand_augment(images, operations, signs)
    for row in range(4):
        part = slice(row, row + 1)
        assert torch.equal(rand_augment(images[part], operations[part], signs[part]), whole[part])
