from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar, NamedTuple

import pytest
import torch
from tiny_network import plan_for
from torch import nn

from vision2.basics.errors import TrainingDiverged, UserError
from vision2.strategies.settings import StrategyConfig
from vision2.training.checkpoint import restoring
from vision2.training.learner import Learner
from vision2.training.losses import Objective
from vision2.training.settings import TrainConfig


class Output(NamedTuple):
    logits: torch.Tensor
    aux: dict


class Small(nn.Module):
    """A network with the stages that the contract requires: a backbone with batch norm, a head and an auxiliary head."""

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
    def epoch(self, epoch, place=None):
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


def losses_of(subject, batch):
    return subject.objective(subject.network(batch.images), batch.targets)


def test_the_total_loss_is_the_main_loss_plus_weight_times_the_auxiliary_one():
    subject, (batch, *_) = learner(aux_weight=0.3), batches()
    subject.network.train()
    loss = losses_of(subject, batch).objective
    output = subject.network(batch.images)
    expected = nn.functional.cross_entropy(output.logits, batch.labels)
    expected = expected + 0.3 * nn.functional.cross_entropy(output.aux["side"], batch.labels)
    assert loss.item() == pytest.approx(expected.item())


def test_plain_sgd_changes_each_weight_by_rate_times_gradient():
    subject, (batch, *_) = learner(), batches()
    before = subject.network.head.weight.detach().clone()
    subject.network.train()
    losses_of(subject, batch).objective.backward()
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
    """Batch norm uses each batch separately, so the reference is the mean of the two gradients, computed by hand."""
    subject, both = learner(accumulate=2), batches()
    start = {name: value.detach().clone() for name, value in subject.network.named_parameters()}
    subject.network.train()
    gradients = []
    for batch in both:
        subject.network.zero_grad()
        losses_of(subject, batch).objective.backward()
        gradients.append({name: p.grad.clone() for name, p in subject.network.named_parameters()})
    subject.network.zero_grad()
    subject.train_epoch(both, 1)
    for name, value in subject.network.named_parameters():
        mean = (gradients[0][name] + gradients[1][name]) / 2
        assert torch.allclose(value, start[name] - 0.05 * mean, atol=1e-6), name


def test_loss_and_accuracy_are_means_over_samples_not_over_batches():
    subject, uneven = learner(), batches(sizes=(6, 2))
    subject.optimizer.param_groups.clear()  # nothing is trained, so that each batch can be checked separately
    result = subject.train_epoch(uneven, 1)
    subject.network.train()
    losses = [(losses_of(subject, batch), len(batch.labels)) for batch in uneven]
    assert result.objective == pytest.approx(sum(float(loss.objective) * n for loss, n in losses) / 8, rel=1e-5)
    assert result.loss == pytest.approx(sum(float(loss.plain) * n for loss, n in losses) / 8, rel=1e-5)
    assert result.images == 8


def test_a_loss_that_is_nan_or_infinite_stops_the_run_and_names_step_and_rate():
    subject, broken = learner(), batches(sizes=(4, 4, 4))
    broken[1].images[:] = float("inf")
    with pytest.raises(TrainingDiverged, match=r"step 2 of epoch 1 \(learning rate 0\.05\)"):
        subject.train_epoch(broken, 1)


def test_a_frozen_backbone_is_bit_identical_after_training():
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
    for n, value in enumerate(seen[1:], start=1):
        decay = min(0.9, (1 + n) / (10 + n))  # a ramp, so that the start does not dominate in a short run
        expected = decay * expected + (1 - decay) * value
    assert torch.allclose(subject.evaluated.head.weight, expected, atol=1e-6)


def test_l2_sp_pulls_the_backbone_back_and_leaves_the_head_alone():
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
def test_two_epochs_equal_one_epoch_followed_by_another_after_restoring(optimizer):
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


def one_large_batch(parts):
    whole = {name: torch.cat([getattr(part, name) for part in parts]) for name in ("images", "targets", "labels")}
    return FixedBatches([SimpleNamespace(**whole)])


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 7.0])], ids=["", "class weights"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_accumulating_uneven_batches_equals_one_batch_of_all_images(weights, smoothing):
    parts = batches(sizes=(5, 5, 3))
    steps = []
    for data, count in ((parts, 3), (one_large_batch(parts), 1)):
        network, strategy = Small(), StrategyConfig(name="finetune", momentum=0.0, weight_decay=0.0, batchnorm="frozen")
        train = TrainConfig(epochs=1, warmup_epochs=0, schedule="constant", accumulate=count, label_smoothing=smoothing)
        plan = plan_for(network, strategy)
        subject = Learner(network, plan, strategy, train, precision="float32", seed=0, class_weights=weights)
        result = subject.train_epoch(data, 1)
        steps.append((result, network.state_dict()))
    (first, a), (second, b) = steps
    assert first.objective == pytest.approx(second.objective, rel=1e-5)
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)


def test_training_loss_is_the_plain_cross_entropy_that_validation_reports():
    subject, only = learner(label_smoothing=0.3), batches(sizes=(6,))
    subject.network.eval()
    expected = nn.functional.cross_entropy(Small().train()(only[0].images).logits, only[0].labels)
    result = subject.train_epoch(only, 1)
    assert result.loss == pytest.approx(float(expected.detach()), rel=1e-5)
    assert result.objective > result.loss  # it also includes smoothing and the auxiliary classifier


def test_mixed_images_have_no_training_accuracy():
    subject, (batch, *_) = learner(), batches()
    batch.targets = torch.full((4, 2), 0.5)
    assert subject.train_epoch(FixedBatches([batch]), 1).accuracy is None


def test_a_class_weight_multiplies_the_whole_loss_of_an_image_including_smoothing():
    """PyTorch weights the smoothed part by the weight of each class, which rewards predicting rare classes."""
    logits, labels = (
        torch.randn(8, 3, generator=torch.Generator().manual_seed(0)),
        torch.tensor([0, 0, 0, 0, 0, 1, 1, 2]),
    )
    weights = torch.tensor([0.5, 2.0, 30.0])
    objective = Objective(class_weights=weights, label_smoothing=0.1, aux_weight=0.0)
    log_p = logits.log_softmax(1)
    per_image = torch.stack([-0.9 * log_p[i, y] - 0.1 * log_p[i].mean() for i, y in enumerate(labels.tolist())])
    expected = (per_image * weights[labels]).sum() / weights[labels].sum()
    assert float(objective(Output(logits, {}), labels).objective) == pytest.approx(float(expected), rel=1e-5)


def test_clipping_bounds_the_norm_of_the_whole_gradient():
    still = StrategyConfig(name="scratch", lr=1.0, momentum=0.0, weight_decay=0.0)
    subject = learner(still, clip_norm=0.01)
    before = [parameter.detach().clone() for parameter in subject.network.parameters()]
    subject.train_epoch(FixedBatches(batches()[:1]), 1)
    moved = [(a - b).norm() for a, b in zip(subject.network.parameters(), before, strict=True)]
    assert float(torch.stack(moved).norm()) == pytest.approx(0.01, rel=1e-3)


def test_float16_skips_a_step_whose_gradient_overflows_and_lowers_the_scale():
    network, strategy = Small(), StrategyConfig(name="scratch", lr=0.1, momentum=0.0, weight_decay=0.0)
    train = TrainConfig(epochs=1, warmup_epochs=0, schedule="constant")
    subject = Learner(network, plan_for(network, strategy), strategy, train, precision="float16", seed=0)
    before, scale = network.head.weight.detach().clone(), subject.scaler.get_scale()
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, float("inf"))
    subject.scaler.scale(torch.ones(()))  # initialises the scaler, as the first loss would
    subject._set_rate(0, 1)
    subject._update()
    assert torch.equal(network.head.weight, before)
    assert subject.scaler.get_scale() < scale
    subject.train_epoch(FixedBatches(batches()[:1]), 1)
    assert torch.isfinite(network.head.weight).all()
    assert not torch.equal(network.head.weight, before)


@pytest.mark.parametrize("part", ["model", "optimizer", "reference"])
@pytest.mark.parametrize("value", [None, {"other": 1}])
def test_a_saved_state_that_does_not_fit_is_refused_in_one_sentence(part, value):
    state = {**learner().state_dict(), part: value}
    with pytest.raises(UserError, match=r"the run cannot be resumed because its last.pt does not fit it .*; start a new run"):
        learner().load_state_dict(state)


def test_running_out_of_memory_while_restoring_is_not_called_a_damaged_checkpoint():
    with pytest.raises(torch.OutOfMemoryError), restoring():
        raise torch.OutOfMemoryError
