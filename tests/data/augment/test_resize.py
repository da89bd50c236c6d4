"""How a picture becomes a square: the centre, the whole picture squashed, or the whole picture between bars."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_up_images import pixels

from vision2.basics.preprocessing import Preprocessing
from vision2.data.augment import crops
from vision2.data.augment.view import View
from vision2.data.settings import AugmentConfig


def wide_picture():
    """Blue at the left edge, red at the right, grey in between."""
    image = np.full((60, 200, 3), 128, dtype=np.uint8)
    image[:, :20], image[:, -20:] = (0, 0, 255), (255, 0, 0)
    return image


@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_the_whole_of_a_wide_picture_is_shown_on_request(resize):
    shown = crops.evaluation_view(wide_picture(), Preprocessing(40, 46, resize=resize))
    assert shown.shape == (40, 40, 3)
    assert shown[20, 0].tolist() == [0, 0, 255]
    assert shown[20, -1].tolist() == [255, 0, 0]
    assert crops.evaluation_view(wide_picture(), Preprocessing(40, 46))[20, 0].tolist() == [128, 128, 128]


def test_padding_keeps_the_aspect_between_bars_that_normalise_to_zero():
    preprocessing = Preprocessing(40, 46, mean=(0.5, 0.25, 0.75), std=(0.5, 0.5, 0.5), resize="pad")
    shown = crops.evaluation_view(wide_picture(), preprocessing)
    rows = (shown != np.array([128, 64, 191])).any(axis=(1, 2))
    assert rows.sum() == 12
    normalised = View(preprocessing, None, 0, 2).normalise(torch.from_numpy(shown[None].copy()))
    assert normalised[0, :, 0].abs().max() < 0.005


def test_squashing_is_one_resize():
    image = wide_picture()
    expected = crops.resize(image, 40, 40)
    np.testing.assert_array_equal(crops.evaluation_view(image, Preprocessing(40, 46, resize="squash")), expected)


@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_training_shows_parts_of_the_square_that_evaluation_shows(resize):
    whole = AugmentConfig(crop="random_resized", crop_scale_min=1.0, flip=False)
    preprocessing = Preprocessing(40, 40, resize=resize)
    trained = View(preprocessing, whole, seed=0, num_classes=2).crop_one_by_one([wide_picture()] * 20, 1, np.arange(20))
    edges = np.abs(trained[:, 20, 0].numpy().astype(int) - (0, 0, 255)).max(1)
    assert (edges < 20).any()  # the left edge, which a centre crop never shows


@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
def test_squares_of_one_size_are_shown_whole_by_every_resize(resize):
    images = torch.randint(0, 256, (3, 40, 40, 3), dtype=torch.uint8)
    shown = View(Preprocessing(40, 40, resize=resize), None, 0, 2).crop_together(images, 0, np.arange(3))
    assert torch.equal(shown, images)


@pytest.mark.parametrize("shape", [(1, 900), (900, 1), (3, 2000)])
@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
def test_strips_never_become_large(shape, resize):
    strip = np.arange(shape[0] * shape[1] * 3, dtype=np.uint32).reshape(*shape, 3).astype(np.uint8)
    largest, plain = [], crops.resize

    def watched(image, height, width, interpolation="bilinear"):
        largest.append(height * width)
        return plain(image, height, width, interpolation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crops, "resize", watched)
        assert crops.evaluation_view(strip, Preprocessing(224, 256, resize=resize)).shape == (224, 224, 3)
    assert max(largest) <= 256 * 256 * crops.STRIP_ASPECT


def test_cutting_off_the_ends_of_a_strip_does_not_change_its_view():
    from torchvision.transforms.v2 import functional

    strip = pixels(3, width=1200, height=40)
    expected = functional.resize(torch.from_numpy(strip.copy()).permute(2, 0, 1), [64], antialias=True)
    expected = functional.center_crop(expected, [56, 56]).permute(1, 2, 0).numpy()
    ours = crops.evaluation_view(strip, Preprocessing(56, 64))
    assert np.abs(ours.astype(int) - expected).max() <= 2


def test_checkpoints_without_a_resize_setting_use_crop():
    saved = {"image_size_px": 32, "resize_px": 36, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear"}
    assert Preprocessing.from_dict(saved).resize == "crop"
    assert Preprocessing.from_dict(Preprocessing(32, 36, resize="pad").to_dict()).resize == "pad"
    assert Preprocessing(32, 36, resize="pad").at_size(64).resize == "pad"
