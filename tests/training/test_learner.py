from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar, NamedTuple

import pytest
import torch
from torch import nn

from vision2.basics.errors import TrainingDiverged
from vision2.strategies import plan_for
from vision2.strategies.settings import StrategyConfig
from vision2.training.learner import Learner
from vision2.training.settings import TrainConfig


class Output(NamedTuple):
    logits: torch.Tensor
    aux: dict


class Small(nn.Module):
    """A network with the contract's stages: a batch-normalised body, a head, one auxiliary head."""

    stages: ClassVar = {"stem": ("backbone.0.", "backbone.1."), "aux": ("side.",), "head": ("head.",)}

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head, self.side = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, images):
        features = self.backbone(images)
        return Output(self.head(features), {"side": self.side(features)} if self.training else {})


class FixedBatches(list):
    def epoch(self, epoch):
        return iter(self)


def batches(sizes=(4, 4), seed=1):
    generator = torch.Generator().manual_seed(seed)
    found = FixedBatches()
    for size in sizes:
        images, labels = torch.randn(size, 3, 8, 8, generator=generator), torch.arange(size) % 2
        found.append(SimpleNamespace(images=images, targets=labels, labels=labels))
    return found


def learner(strategy=None, aux_weight=0.3, **train):
    settings = {"epochs": 2, "warmup_epochs": 0, "schedule": "constant"} | train
    strategy = strategy or StrategyConfig(name="scratch", momentum=0.0, weight_decay=0.0)
    network = Small()
    plan = plan_for(network, strategy)
    return Learner(network, plan, strategy, TrainConfig(**settings), precision="float32", seed=0, aux_weight=aux_weight)


def test_the_total_loss_is_main_plus_weight_times_auxiliary():
    subject, (batch, *_) = learner(aux_weight=0.3), batches()
    subject.network.train()
    loss, _ = subject._loss(batch)
    output = subject.network(batch.images)
    expected = nn.functional.cross_entropy(output.logits, batch.labels)
    expected = expected + 0.3 * nn.functional.cross_entropy(output.aux["side"], batch.labels)
    assert loss.item() == pytest.approx(expected.item())


def test_plain_sgd_moves_each_weight_by_rate_times_gradient():
    subject, (batch, *_) = learner(), batches()
    before = subject.network.head.weight.detach().clone()
    subject.network.train()
    subject._loss(batch)[0].backward()
    gradient = subject.network.head.weight.grad.clone()
    subject.optimizer.zero_grad()
    one = FixedBatches([batch])
    subject.train_epoch(one, 1)
    assert torch.allclose(subject.network.head.weight, before - 0.05 * gradient, atol=1e-7)


def test_gradient_norms_are_those_of_each_parameter_of_a_stage_in_the_first_step():
    subject, (batch, *_) = learner(aux_weight=0.0), batches()
    reference = Small().train()
    nn.functional.cross_entropy(reference(batch.images).logits, batch.labels).backward()
    norms = subject.train_epoch(FixedBatches([batch]), 1).gradient_norms
    assert norms["head"] == pytest.approx([float(p.grad.norm()) for p in reference.head.parameters()])
    assert len(norms["stem"]) == 4  # convolution and batch norm, weight and bias of each


def test_accumulating_two_batches_averages_their_gradients():
    """Batch-norm sees each batch alone, so the reference is the mean of the two gradients, taken by hand."""
    subject, both = learner(accumulate=2), batches()
    start = {name: value.detach().clone() for name, value in subject.network.named_parameters()}
    subject.network.train()
    gradients = []
    for batch in both:
        subject.network.zero_grad()
        subject._loss(batch)[0].backward()
        gradients.append({name: p.grad.clone() for name, p in subject.network.named_parameters()})
    subject.network.zero_grad()
    subject.train_epoch(both, 1)
    for name, value in subject.network.named_parameters():
        mean = (gradients[0][name] + gradients[1][name]) / 2
        assert torch.allclose(value, start[name] - 0.05 * mean, atol=1e-6), name


def test_loss_and_accuracy_are_means_over_samples_not_over_batches():
    subject, uneven = learner(), batches(sizes=(6, 2))
    subject.optimizer.param_groups.clear()  # nothing learns, so that each batch can be checked by itself
    result = subject.train_epoch(uneven, 1)
    subject.network.train()
    losses = [subject._loss(batch)[0].item() * len(batch.labels) for batch in uneven]
    assert result.loss == pytest.approx(sum(losses) / 8, rel=1e-5)
    assert result.images == 8


def test_a_loss_that_is_no_number_stops_the_run_naming_step_and_rate():
    subject, broken = learner(), batches(sizes=(4, 4, 4))
    broken[1].images[:] = float("inf")
    with pytest.raises(TrainingDiverged, match=r"step 2 of epoch 1 \(learning rate 0\.05\)"):
        subject.train_epoch(broken, 1)


def test_a_frozen_body_is_bit_identical_after_training():
    subject = learner(StrategyConfig(name="feature_extraction", lr=0.5))
    before = {name: value.clone() for name, value in subject.network.backbone.state_dict().items()}
    head = subject.network.head.weight.detach().clone()
    for epoch in (1, 2):
        subject.train_epoch(batches(), epoch)
    assert all(torch.equal(value, before[name]) for name, value in subject.network.backbone.state_dict().items())
    assert not torch.equal(subject.network.head.weight, head)


def test_averaged_weights_follow_the_exponential_moving_average():
    subject, only = learner(ema=0.9), batches(sizes=(4,))
    seen = []
    for epoch in (1, 2, 3):
        subject.train_epoch(only, epoch)
        seen.append(subject.network.head.weight.detach().clone())
    expected = seen[0]  # the first update copies
    for value in seen[1:]:
        expected = 0.9 * expected + 0.1 * value
    assert torch.allclose(subject.evaluated.head.weight, expected, atol=1e-6)


def test_l2_sp_pulls_the_body_back_and_leaves_the_head_alone():
    still = StrategyConfig(name="finetune", lr=0.1, momentum=0.0, weight_decay=0.0, l2_sp=0.5)
    subject = learner(still)
    with torch.no_grad():
        subject.network.backbone[0].weight.add_(1.0)
    for parameter in subject.network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    moved, head = subject.network.backbone[0].weight.detach().clone(), subject.network.head.weight.detach().clone()
    subject._set_rate(0, 1)
    subject._update()
    assert torch.allclose(subject.network.backbone[0].weight, moved - 0.1 * 0.5 * 1.0)
    assert torch.equal(subject.network.head.weight, head)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_two_epochs_equal_one_epoch_saved_restored_and_another(optimizer):
    strategy = StrategyConfig(name="scratch", optimizer=optimizer, lr=0.01)
    straight, first = learner(strategy, ema=0.5), learner(strategy, ema=0.5)
    for epoch in (1, 2):
        straight.train_epoch(batches(), epoch)
    first.train_epoch(batches(), 1)
    second = learner(strategy, ema=0.5)
    second.load_state_dict(first.state_dict())
    second.train_epoch(batches(), 2)
    for a, b in [(straight.network, second.network), (straight.evaluated, second.evaluated)]:
        assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
