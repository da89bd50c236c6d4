"""No tensor of a training step is left on the CPU, shown without a GPU: a fake device refuses to mix two devices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_network import plan_for
from torch import nn

from vision2.data.batches import Batches
from vision2.data.dataset import Split
from vision2.data.settings import AugmentConfig
from vision2.data.store.image_sources import TensorImages
from vision2.features.feature_batches import FeatureBatches
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.strategies.settings import StrategyConfig
from vision2.training import learner as subject
from vision2.training.learner import Learner
from vision2.training.settings import TrainConfig

fake = pytest.importorskip("torch._subclasses.fake_tensor")
GPU, SIZE = "cuda:0", 16
AUGMENTATIONS = [
    {"crop": "pad", "rand_augment": 2},
    {"color_jitter": 0.4, "erasing": 1.0},
    {"crop": "none", "mixup": 0.2},
    {"crop": "none", "cutmix": 1.0},
]


@pytest.fixture
def gpu(monkeypatch):
    """A mode in which tensors have a device and a shape but no values; there is no backward pass either."""

    def gradients(loss):
        assert loss.device == torch.device(GPU)
        for network in networks:
            for parameter in network.parameters():
                parameter.grad = torch.zeros_like(parameter)

    networks: list[nn.Module] = []
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: gradients(loss))
    monkeypatch.setattr(subject._Sums, "check_finite", lambda *_: None)
    monkeypatch.setattr(subject._Sums, "result", lambda *_: None)
    monkeypatch.setattr(Learner, "_gradient_norms", lambda *_: {})
    with fake.FakeTensorMode(allow_non_fake_inputs=True):
        networks.append(on_gpu(build_model(ModelConfig("resnet20"), 3, seed=0, image_size_px=SIZE)))
        yield networks[0]


def on_gpu(network):
    """`network.to` swaps tensors, which fake ones do not allow."""
    network.preprocessing = network.preprocessing.at_size(SIZE)
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(parameter.detach().to(GPU))
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.to(GPU)
    return network


def made_up_split():
    with fake.unset_fake_temporarily():
        pixels = torch.zeros(6, 3, SIZE + 4, SIZE + 4, dtype=torch.uint8)
        return Split("train", np.array([0, 1, 2] * 2), tuple("abcdef"), TensorImages(pixels))


def batches_of(network, **augment):
    about = {"batch_size": 3, "device": GPU, "num_classes": 3, "seed": 0, "shuffle": True}
    return Batches(made_up_split(), network.preprocessing, augment=AugmentConfig(**augment), **about)


def test_the_fake_device_finds_a_forgotten_tensor(gpu):
    with pytest.raises(RuntimeError, match="device"):
        gpu(torch.zeros(2, 3, SIZE, SIZE))


@pytest.mark.parametrize("augment", AUGMENTATIONS, ids=lambda augment: " ".join(augment))
def test_augmented_batches_are_on_the_device(gpu, augment):
    for batch in batches_of(gpu, **augment).epoch(1):
        assert {tensor.device for tensor in batch} == {torch.device(GPU)}


@pytest.mark.filterwarnings("ignore:CUDA is not available:UserWarning")
@pytest.mark.parametrize(
    ("strategy", "train"),
    [
        ({"name": "scratch"}, {"label_smoothing": 0.1}),
        ({"name": "finetune", "batchnorm": "frozen"}, {"accumulate": 2}),
        ({"name": "finetune", "l2_sp": 0.1}, {"clip_norm": 1.0}),
    ],
    ids=["smoothing", "accumulation", "clipping"],
)
def test_a_training_step_is_on_the_device(gpu, strategy, train):
    strategy = StrategyConfig(lr=0.01, optimizer="adamw", **strategy)  # fake tensors do not have torch's fused SGD
    weights = torch.ones(3, device="cpu")
    train = TrainConfig(epochs=1, warmup_epochs=0, **train)
    learner = Learner(gpu, plan_for(gpu, strategy), strategy, train, precision="bfloat16", seed=0, class_weights=weights)
    learner.train_epoch(batches_of(gpu), 1)


def test_a_head_is_trained_on_stored_features_on_the_device(gpu):
    rows = FeatureBatches(torch.zeros(1, 6, 64), np.array([0, 1, 2] * 2), batch_size=3, device=torch.device(GPU), seed=0)
    strategy = StrategyConfig(name="feature_extraction", lr=0.01, optimizer="adamw")
    train = TrainConfig(epochs=1, warmup_epochs=0)
    plan = plan_for(gpu, strategy)
    Learner(gpu, plan, strategy, train, precision="float32", seed=0, forward=gpu.classify).train_epoch(rows, 1)
