"""Each method classifies an episode as NumPy, or a computation by hand, does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from vision2.data.episodes import Shape
from vision2.meta.fomaml import FirstOrderMAML
from vision2.meta.matching import Attention
from vision2.meta.protonet import Prototypes
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig

WAY, SHOT, QUERIES, WIDTH = 3, 2, 4, 5


@pytest.fixture
def features() -> tuple[np.ndarray, np.ndarray]:
    """Support (way, shot, D) and queries (Q, D)."""
    stream = np.random.default_rng(0)
    return stream.normal(size=(WAY, SHOT, WIDTH)), stream.normal(size=(QUERIES, WIDTH))


def softmax(scores: np.ndarray) -> np.ndarray:
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def probabilities(method, support: np.ndarray, query: np.ndarray) -> np.ndarray:
    return method.classify(torch.from_numpy(support), torch.from_numpy(query)).softmax(1).numpy()


def test_prototypes_are_class_means_and_the_score_is_minus_the_squared_distance(features):
    support, query = features
    distances = [[((q - support[k].mean(0)) ** 2).sum() for k in range(WAY)] for q in query]
    assert np.allclose(probabilities(Prototypes("euclidean"), support, query), softmax(-np.array(distances)))


def test_with_cosine_distance_only_the_direction_of_features_counts(features):
    support, query = features
    means = support.mean(1)
    cosines = query @ means.T / (np.linalg.norm(query, axis=1)[:, None] * np.linalg.norm(means, axis=1))
    assert np.allclose(probabilities(Prototypes("cosine"), support, query), softmax(cosines))
    assert np.allclose(probabilities(Prototypes("cosine"), support, 7 * query), softmax(cosines))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_matching_adds_the_attention_to_the_support_images_of_each_class(features, distance):
    support, query = features
    images = support.reshape(-1, WIDTH)
    if distance == "cosine":
        scores = query @ images.T / (np.linalg.norm(query, axis=1)[:, None] * np.linalg.norm(images, axis=1))
    else:
        scores = -((query[:, None] - images[None]) ** 2).sum(2)
    attention = softmax(scores)
    expected = np.stack([attention[:, k * SHOT : (k + 1) * SHOT].sum(1) for k in range(WAY)], axis=1)
    assert np.allclose(probabilities(Attention(distance), support, query), expected)


def test_with_one_shot_matching_by_euclidean_distance_equals_prototypes(features):
    support, query = features
    one = support[:, :1]
    assert np.allclose(probabilities(Attention("euclidean"), one, query), probabilities(Prototypes("euclidean"), one, query))


@pytest.fixture
def pixels():
    """A network whose only features are the pixels of images of 1 px, with one weight per channel before them."""
    network = build_model(ModelConfig("pixels"), 2, seed=0, image_size_px=1)
    network.backbone = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.Flatten())
    return network


def episode(way: int, shot: int, query: int) -> torch.Tensor:
    return torch.rand(way * (shot + query), 3, 1, 1, generator=torch.Generator().manual_seed(1))


def test_maml_adapts_as_gradient_descent_on_the_support_done_by_hand(pixels):
    shape, lr, images = Shape(2, 2, 1), 0.3, episode(2, 2, 1)
    support, query, labels = images[:4].flatten(1), images[4:].flatten(1), torch.tensor([0, 0, 1, 1])
    w = pixels.backbone[0].weight.detach().flatten(1).clone()  # (2 features, 3 channels)
    head, bias = torch.zeros(2, 2), torch.zeros(2)
    onehot = torch.nn.functional.one_hot(labels, 2).float()
    for _ in range(2):
        f = support @ w.T
        error = ((f @ head.T + bias).softmax(1) - onehot) / 4  # gradient of the mean cross-entropy by the logits
        w, head, bias = w - lr * (error @ head).T @ support, head - lr * error.T @ f, bias - lr * error.sum(0)
    expected = query @ w.T @ head.T + bias
    found = FirstOrderMAML(steps=2, lr=lr).logits(pixels, images, shape)
    assert torch.allclose(found, expected, atol=1e-6)


def test_the_gradient_of_maml_is_that_of_the_adapted_weights(pixels):
    shape, images, labels = Shape(2, 2, 1), episode(2, 2, 1), torch.tensor([0, 1])
    method, weight = FirstOrderMAML(steps=2, lr=0.3), pixels.backbone[0].weight
    torch.nn.functional.cross_entropy(method.logits(pixels, images, shape), labels).backward()
    start = {name: p for name, p in pixels.named_parameters() if name.startswith("backbone.")}
    change, (head, bias) = method._adapted(pixels, start, images[:4], torch.tensor([0, 0, 1, 1]))
    adapted = (weight + change["backbone.0.weight"]).detach().requires_grad_()
    features = nn.functional.conv2d(images[4:], adapted).flatten(1)
    torch.nn.functional.cross_entropy(features @ head.T + bias, labels).backward()
    assert weight.grad.abs().max() > 0
    assert torch.allclose(weight.grad, adapted.grad, atol=1e-6)


def test_maml_changes_neither_the_weights_nor_the_batch_norm_statistics_nor_the_mode():
    network = build_model(ModelConfig("conv4", width=0.1), 2, seed=0, image_size_px=16).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.rand(4 * 2, 3, 16, 16)
    FirstOrderMAML(steps=2, lr=0.1).logits(network, images, Shape(2, 1, 3))
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
