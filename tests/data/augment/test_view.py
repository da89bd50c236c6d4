from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_images import pixels
from PIL import Image
from torchvision.transforms import InterpolationMode, RandomResizedCrop, functional

from vision2.basics.preprocessing import Preprocessing
from vision2.data.augment import crops, mixing
from vision2.data.augment.view import View
from vision2.data.settings import AugmentConfig


def batch(count: int = 4, size: int = 32) -> torch.Tensor:
    return torch.from_numpy(np.stack([pixels(seed, width=size, height=size) for seed in range(count)]))


def draws(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def planes(images: torch.Tensor) -> torch.Tensor:
    return images.movedim(-1, -3)


# crops


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.floats(0.01, 1), st.integers(0, 2**32 - 1))
def test_a_random_crop_lies_inside_its_image(height, width, scale_min, seed):
    sizes = np.array([[height, width]] * 8)
    top, left, crop_h, crop_w = crops.random_resized_boxes(sizes, draws(8, crops.CROP_DRAWS, seed=seed), scale_min).T
    assert (top >= 0).all() and (left >= 0).all() and (crop_h >= 1).all() and (crop_w >= 1).all()
    assert (top + crop_h <= height).all() and (left + crop_w <= width).all()


def test_random_crops_have_the_same_distribution_as_torchvisions():
    torch.manual_seed(0)
    image = torch.empty(3, 256, 384)
    theirs = np.array([RandomResizedCrop.get_params(image, [0.35, 1.0], [3 / 4, 4 / 3]) for _ in range(3000)])
    ours = crops.random_resized_boxes(np.array([[256, 384]] * 3000), draws(3000, crops.CROP_DRAWS), 0.35)
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), rtol=0.05)
    np.testing.assert_allclose(ours.std(0), theirs.std(0), rtol=0.07)


def test_a_crop_that_never_fits_is_the_largest_centred_one():
    boxes = crops.random_resized_boxes(np.array([[100, 1000], [1000, 100]]), draws(2, crops.CROP_DRAWS), 1.0)
    assert boxes.tolist() == [[0, 433, 100, 133], [433, 0, 133, 100]]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [16, 32, 48])
def test_cropping_a_batch_equals_torchvisions_resized_crop(size, interpolation):
    images, boxes = batch(), np.array([[0, 0, 32, 32], [3, 5, 20, 25], [10, 0, 7, 9], [1, 2, 30, 29]])
    ours = crops.resample(images, boxes, size, interpolation)
    for image, box, result in zip(images, boxes.tolist(), ours, strict=True):
        expected = functional.resized_crop(Image.fromarray(image.numpy()), *box, [size, size], InterpolationMode(interpolation))
        difference = np.abs(np.asarray(expected).astype(int) - result.numpy())
        assert difference.max() <= 2
        assert (difference <= 1).mean() > 0.99


@pytest.mark.parametrize(("width", "height"), [(300, 200), (211, 340), (64, 64), (50, 90)])
def test_the_evaluation_view_equals_torchvisions(width, height):
    image = np.array(pixels(1, width=width, height=height))
    expected = functional.center_crop(functional.resize(Image.fromarray(image), 73), 64)
    ours = crops.evaluation_view(image, Preprocessing(image_size_px=64, resize_px=73))
    assert np.abs(ours.astype(int) - np.asarray(expected).astype(int)).max() <= 1


def test_a_padded_crop_equals_padding_and_slicing():
    images, where = batch(6, 8), draws(6, 2)
    ours = crops.pad_crop(images, where, 3)
    padded = np.pad(images.numpy(), ((0, 0), (3, 3), (3, 3), (0, 0)))
    for index, (top, left) in enumerate((where * 7).astype(int)):
        np.testing.assert_array_equal(ours[index].numpy(), padded[index, top : top + 8, left : left + 8])
    assert crops.pad_crop(images, where, 0) is images


@pytest.mark.parametrize("size", [32, 80])
def test_flipping_mirrors_the_chosen_images_only(size):
    images = batch(3, size)
    flipped = crops.flip(images.clone(), np.array([True, False, True]))
    np.testing.assert_array_equal(flipped.numpy()[[0, 2]], images.numpy()[[0, 2], :, ::-1])
    assert torch.equal(flipped[1], images[1])


# erasing and mixing


def test_erasing_blanks_one_rectangle_of_the_right_size():
    erased = mixing.erase(torch.ones(300, 3, 40, 40), draws(300, mixing.ERASING_DRAWS), 1.0)
    blank = (erased == 0).all(1)
    share = blank.float().mean((1, 2))
    assert share.min() > 0.01
    assert share.max() < 0.36
    height, width = blank.any(2).sum(1), blank.any(1).sum(1)
    assert torch.equal(height * width, blank.sum((1, 2)))
    assert 0.5 > (height > 1.5 * width).float().mean() > 0.2


def test_erasing_changes_the_requested_share_of_images():
    erased = mixing.erase(torch.ones(1000, 3, 8, 8), draws(1000, mixing.ERASING_DRAWS), 0.25)
    assert abs((erased == 0).any((1, 2, 3)).float().mean() - 0.25) < 0.04


def test_mixup_blends_images_and_targets_by_the_same_share():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 8, 8)
    mixed, targets = mixing.mixup(images, torch.arange(4), draws(4, 3), alpha=0.4, num_classes=4)
    torch.testing.assert_close(targets.sum(1), torch.ones(4))
    torch.testing.assert_close(mixed[:, 0, 0, 0], targets @ torch.arange(4.0))


def test_cutmix_targets_count_the_pasted_pixels():
    images = torch.arange(50.0).view(50, 1, 1, 1).expand(50, 3, 16, 16)
    mixed, targets = mixing.cutmix(images, torch.arange(50), draws(50, 3), alpha=1.0, num_classes=50)
    for index in range(50):
        own = (mixed[index, 0] == index).float().mean()
        torch.testing.assert_close(targets[index, index], own)
        torch.testing.assert_close(targets[index, (index + 1) % 50], 1 - own)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_follow_the_beta_distribution(alpha):
    images = torch.zeros(4000, 3, 2, 2)
    _, targets = mixing.mixup(images, torch.arange(4000) % 2, draws(4000, 3), alpha=alpha, num_classes=2)
    shares = targets.gather(1, (torch.arange(4000) % 2)[:, None])
    assert abs(shares.mean() - 0.5) < 0.02
    assert abs(shares.var() - 1 / (4 * (2 * alpha + 1))) < 0.01  # variance of Beta(alpha, alpha)


# the whole view


def view(**augment) -> View:
    settings = AugmentConfig(**{"crop": "none", "flip": False} | augment)
    return View(Preprocessing(32, 32, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)), settings, seed=0, num_classes=4)


@pytest.mark.parametrize(("count", "size"), [(4, 32), (3, 224), (60, 33)])
def test_normalisation_equals_torchvisions(count, size):
    images = view().normalise(batch(count, size))
    expected = functional.normalize(planes(batch(count, size)).float() / 255, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    torch.testing.assert_close(images, expected, rtol=1e-5, atol=1e-5)
    assert images.is_contiguous(memory_format=torch.channels_last)


EVERYTHING = {
    "crop": {"crop": "pad"},
    "flip": {"flip": True},
    "rand_augment": {"rand_augment": 2},
    "jitter": {"color_jitter": 0.5},
    "erasing": {"erasing": 0.9},
    "mixup": {"mixup": 0.4},
    "cutmix": {"cutmix": 1.0},
}


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_augmentation_changes_with_the_epoch_and_not_otherwise(name):
    look = view(**EVERYTHING[name])
    labels, samples = torch.arange(8) % 4, np.arange(8)

    def shown(epoch: int) -> torch.Tensor:
        return look.finish(batch(8), labels, epoch, samples)[0]

    assert torch.equal(shown(1), shown(1))
    assert not torch.equal(shown(1), shown(2))
    assert not torch.equal(shown(1), view().finish(batch(8), labels, 1, samples)[0])


def test_switching_an_augmentation_on_does_not_change_the_draws_of_the_others():
    labels, samples = torch.arange(8) % 4, np.arange(8)
    with_crop, _ = view(crop="pad", flip=True).finish(batch(8), labels, 1, samples)
    flips = view(flip=True).finish(batch(8), labels, 1, samples)[0]
    alone = view(crop="pad").finish(batch(8), labels, 1, samples)[0]
    flipped = ~torch.tensor([torch.equal(a, b) for a, b in zip(flips, view().normalise(batch(8)), strict=True)])
    expected = torch.where(flipped.view(-1, 1, 1, 1), alone.flip(3), alone)
    assert torch.equal(with_crop, expected)


@pytest.mark.parametrize("name", [*EVERYTHING, "random_resized"])
def test_every_augmentation_changes_with_the_seed(name):
    settings, labels, samples = EVERYTHING.get(name, {"crop": "random_resized"}), torch.arange(8) % 4, np.arange(8)

    def shown(seed: int) -> torch.Tensor:
        look = replace(view(**settings), seed=seed)
        images = look.crop_together(batch(8), 1, samples) if name == "random_resized" else batch(8)
        return look.finish(images, labels, 1, samples)[0]

    assert torch.equal(shown(1), shown(1))
    assert not torch.equal(shown(1), shown(2))


def test_the_evaluation_view_does_not_depend_on_the_seed():
    looks = [replace(view(), augment=None, seed=seed) for seed in (1, 2)]
    first, second = (look.finish(batch(4), torch.arange(4), 1, np.arange(4))[0] for look in looks)
    assert torch.equal(first, second)
