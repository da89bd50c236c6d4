from __future__ import annotations

import torch

from vision2.models.heads import PRIOR_IMAGES, StandardizedLinear


def test_a_constant_training_feature_does_not_dominate_the_others():
    """Two images cannot estimate a variance: a constant feature is scaled by the mean variance, not divided by 0."""
    features = torch.tensor([[0.0, 10.0], [0.0, -10.0]])
    head = StandardizedLinear(2, 2)
    head.standardise_by(features)
    common = 50.0  # mean of the two variances, 0 and 100
    expected = [PRIOR_IMAGES * common / (2 + PRIOR_IMAGES), (2 * 100 + PRIOR_IMAGES * common) / (2 + PRIOR_IMAGES)]
    assert torch.allclose(head.std**2, torch.tensor(expected))


def test_with_many_images_each_feature_is_scaled_by_its_own_standard_deviation():
    features = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.5, 1.0, 2.0]) + 5
    head = StandardizedLinear(3, 2)
    head.standardise_by(features)
    assert torch.allclose(head.std, features.std(0), rtol=0.1)
    assert torch.allclose(head.mean, features.mean(0))
