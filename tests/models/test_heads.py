from __future__ import annotations

import torch

from vision2.models.heads import PRIOR_IMAGES, StandardizedLinear


def test_a_feature_that_no_training_image_shows_does_not_drown_the_others():
    """Two images a class cannot tell a variance: unseen features keep the common scale, not one of 1/0."""
    features = torch.tensor([[0.0, 10.0], [0.0, -10.0]])
    head = StandardizedLinear(2, 2)
    head.standardise_by(features)
    common = 50.0  # mean of the variances 0 and 100
    expected = [PRIOR_IMAGES * common / (2 + PRIOR_IMAGES), (2 * 100 + PRIOR_IMAGES * common) / (2 + PRIOR_IMAGES)]
    assert torch.allclose(head.std**2, torch.tensor(expected))


def test_many_images_standardise_each_feature_by_its_own_spread():
    features = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.5, 1.0, 2.0]) + 5
    head = StandardizedLinear(3, 2)
    head.standardise_by(features)
    assert torch.allclose(head.std, features.std(0), rtol=0.1)
    assert torch.allclose(head.mean, features.mean(0))
