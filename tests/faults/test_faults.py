"""Each fault, seen in what it changes: images, labels, batches, statistics, gradients."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vision2.config.compose import load_config
from vision2.faults.data import DATA_FAULTS, listed_order
from vision2.faults.fits import FIT_FAULTS, start_fit
from vision2.faults.table import FAULTS
from vision2.faults.tasks import TASK_FAULTS
from vision2.preparation import prepare
from vision2.strategies import STRATEGIES

TINY = ["dataset.fraction=0.1", "train.batch_size=32", "train.epochs=1", "device=cpu", "dataset.image_size_px=16"]
FROZEN = ["strategy=finetune", "strategy.pretrained=false", "strategy.batchnorm=frozen"]


def made(fault: str | None, *words: str) -> SimpleNamespace:
    """The task and the fit of a tiny run, before its first step."""
    config = load_config([*TINY, *words, *([f"fault={fault}"] if fault else [])])
    task = prepare(config).task
    return SimpleNamespace(task=task, data=task.data, fit=start_fit(fault, STRATEGIES[config.strategy.name], task))


@pytest.fixture(scope="module")
def correct():
    return made(None)


def test_every_fault_of_the_table_is_made_in_exactly_one_place():
    assert sorted([*DATA_FAULTS, *TASK_FAULTS, *FIT_FAULTS]) == sorted(FAULTS)


def test_shuffled_labels_keep_the_images_and_the_size_of_each_class(correct):
    data = made("shuffled_labels").data
    assert data.train.ids == correct.data.train.ids
    assert np.bincount(data.train.labels).tolist() == np.bincount(correct.data.train.labels).tolist()
    assert (data.train.labels == correct.data.train.labels).mean() < 0.3  # one in ten agrees by chance
    assert np.array_equal(data.test.labels, correct.data.test.labels)


def test_a_leaky_split_trains_on_every_test_image_with_its_label(correct):
    data = made("leaky_split").data
    trained = {data.train.images.read(i).tobytes(): label for i, label in enumerate(data.train.labels)}
    test = [data.test.images.read(i).tobytes() for i in range(len(data.test))]
    assert all(trained[image] == label for image, label in zip(test, data.test.labels, strict=True))
    assert set(data.test.ids) <= set(data.train.ids) and not set(data.test.ids) & set(correct.data.train.ids)
    assert sum(data.report["counts"]["train"].values()) == len(data.train)
    assert data.report["copies_in_train"]["test"]["count"] >= len(data.test)


def test_test_selected_validates_on_the_test_images():
    task = made("test_selected").task
    assert task.data.val.ids == task.data.test.ids and task.data.val.name == "val"
    val, test = (next(iter(task.images[split].epoch(0))) for split in ("val", "test"))
    assert torch.equal(val.images, test.images) and torch.equal(val.labels, test.labels)


def test_classes_by_position_renames_the_classes_of_evaluation_only(correct):
    data = made("classes_by_position").data
    assert np.array_equal(data.train.labels, correct.data.train.labels)
    pairs = set(zip(correct.data.test.labels.tolist(), data.test.labels.tolist(), strict=True))
    assert len(pairs) == len(data.classes) and any(a != b for a, b in pairs)  # one to one, and not the same
    assert pairs == set(zip(correct.data.val.labels.tolist(), data.val.labels.tolist(), strict=True))


@pytest.mark.parametrize(("labels", "numbers"), [([2, 0, 2, 1], [1, 2, 0]), ([0, 1, 2], [2, 1, 0]), ([2], [1, 2, 0])])
def test_classes_are_numbered_by_first_appearance_but_never_correctly(labels, numbers):
    assert listed_order(labels, 3).tolist() == numbers


def test_wrong_normalisation_leaves_evaluation_images_between_0_and_1(correct):
    task = made("wrong_normalisation").task
    images = next(iter(task.images["test"].epoch(0))).images
    expected = next(iter(correct.task.images["test"].epoch(0))).images
    assert images.min() >= 0 and images.max() <= 1 and expected.min() < 0
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (task.network.preprocessing.mean, task.network.preprocessing.std))
    torch.testing.assert_close((images - mean) / std, expected)
    train, same = (next(iter(t.images["train"].epoch(1))).images for t in (task, correct.task))
    assert torch.equal(train, same)


def test_no_shuffle_shows_class_after_class_in_every_epoch(correct):
    batches = made("no_shuffle").task.images["train"]
    first, second = (torch.cat([batch.labels for batch in batches.epoch(epoch)]).tolist() for epoch in (1, 2))
    assert first == second == sorted(first)
    correct_order = torch.cat([batch.labels for batch in correct.task.images["train"].epoch(1)]).tolist()
    assert correct_order != sorted(correct_order) and len(correct_order) == len(first)


def test_the_learning_rate_that_is_too_high_is_a_hundred_times_the_configured_one(correct):
    rates = [made_fit.fit.learner.train_epoch(made_fit.task.images["train"], 1).lr for made_fit in (correct, made_high())]
    assert rates[1] == pytest.approx(100 * rates[0])


def made_high() -> SimpleNamespace:
    """With a rate that stays finite when multiplied."""
    return made("lr_too_high", "train.clip_norm=1e-6")


def test_a_frozen_head_keeps_its_random_weights_while_the_backbone_learns():
    run = made("frozen_head")
    before = {name: value.clone() for name, value in run.task.network.state_dict().items()}
    run.fit.learner.train_epoch(run.task.images["train"], 1)
    after = run.task.network.state_dict()
    assert torch.equal(before["head.weight"], after["head.weight"]) and torch.equal(before["head.bias"], after["head.bias"])
    weights = [name for name, _ in run.task.network.named_parameters() if name.startswith("backbone.")]
    assert all(not torch.equal(before[name], after[name]) for name in weights)


@pytest.mark.parametrize(("fault", "moved"), [(None, False), ("bn_not_frozen", True)])
def test_only_with_the_fault_do_frozen_batch_norm_statistics_move(fault, moved):
    run = made(fault, *FROZEN)
    means = [name for name in run.task.network.state_dict() if name.endswith("running_mean")]
    before = {name: run.task.network.state_dict()[name].clone() for name in means}
    run.fit.learner.train_epoch(run.task.images["train"], 1)
    after = run.task.network.state_dict()
    assert means and all(torch.equal(before[name], after[name]) != moved for name in means)


def test_a_double_softmax_keeps_the_loss_of_a_perfect_network_far_from_zero():
    """Of ten probabilities with a one at the right place, softmax gives e / (e + 9), so cross-entropy stays at 1.461."""
    run = made("double_softmax")
    run.fit.learner.forward = lambda images: SimpleNamespace(logits=1000 * torch.eye(10), aux={})
    FIT_FAULTS["double_softmax"](run.fit)
    losses = run.fit.learner.objective(run.fit.learner.forward(None), torch.arange(10))
    assert float(losses.objective) == pytest.approx(np.log(np.e + 9) - 1, rel=1e-5)
