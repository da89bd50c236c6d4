"""`python -m vision2.doctor`: silent about healthy runs, and each check finds what it is for."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from vision2.checkup import environment, everything, learning, rate
from vision2.checkup.batches import first_batches
from vision2.checkup.data import check_classes
from vision2.checkup.everything import check_fit, check_task
from vision2.checkup.finding import FAILED, PASSED, WARNING, Finding
from vision2.checkup.learning import check_by_heart, check_frozen, check_gradients, check_head_learns
from vision2.checkup.network import check_first_loss, check_input_matters, check_logits, check_modes, check_single_image
from vision2.checkup.rate import check_rate, judge_losses
from vision2.checkup.text import as_page, markdown, summary
from vision2.config.compose import load_config
from vision2.doctor import main
from vision2.faults.fits import start_fit
from vision2.models.network import Output
from vision2.preparation import prepare
from vision2.strategies import STRATEGIES
from vision2.training.epochs import fit_on_images

TINY = ["dataset=digits", "device=cpu", "dataset.image_size_px=16", "train.batch_size=32", "train.precision=float32"]
UNTRAINED = "strategy.pretrained=false"
FROZEN_NORMS = ["strategy=finetune", UNTRAINED, "strategy.batchnorm=frozen"]
SMALL = "dataset.image_size_px=8"
HEALTHY = [
    ["model=resnet20", SMALL],
    ["model=plain20", SMALL],
    ["model=resnet20", SMALL, "strategy=finetune", UNTRAINED],
    ["model=resnet20", SMALL, *FROZEN_NORMS],
    ["model=resnet20", SMALL, "strategy=finetune", UNTRAINED, "strategy.unfreeze_from=layer3"],
    ["model=resnet20", SMALL, "strategy=untrained"],
    ["model=conv4", "model.width=0.5"],
    ["model=pixels", "strategy=pixels"],
    ["model=resnet20_b", SMALL, "strategy.optimizer=adamw", "strategy.lr=0.001", "train.sampler=balanced"],
    ["model=smallinception", "model.aux=true", "train.label_smoothing=0.1", "dataset.augment.flip=false"],
]


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(rate, "STEPS", 30)
    monkeypatch.setattr(rate, "IMAGES", 16)
    monkeypatch.setattr(everything, "IMAGES", 16)
    monkeypatch.setattr(rate, "LEAST_STEPS", 20)
    monkeypatch.setattr(learning, "STEPS", 40)
    torch.set_num_threads(1)


def started(*words: str) -> SimpleNamespace:
    """The task, its fit on images and the first training batch."""
    config = load_config([*TINY, *words])
    task = prepare(config).task
    rules = STRATEGIES[config.strategy.name].rules
    whole = SimpleNamespace(rules=rules, start=lambda task: fit_on_images(task, rules(task.strategy, task.network.stages)))
    fit = start_fit(config.fault, whole, task)
    batch = first_batches(task.images["train"], 1)[0]
    return SimpleNamespace(task=task, data=task.data, fit=fit, learner=fit.learner, network=fit.network, batch=batch)


def examined(run: SimpleNamespace) -> list[Finding]:
    return [*check_task(run.task), *check_fit(run.task, run.fit, new_head=True)[0]]


def bad(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.outcome for finding in findings if finding.outcome != PASSED}


@pytest.fixture(scope="module")
def healthy():
    return started("model=conv4", "model.width=0.25")


@pytest.mark.parametrize("words", HEALTHY, ids=" ".join)
def test_a_healthy_run_passes_every_check_and_is_left_as_it_was(words):
    run = started(*words)
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    found = examined(run)
    assert not bad(found), [finding for finding in found if finding.outcome != PASSED]
    assert all(torch.equal(value, before[name]) for name, value in run.network.state_dict().items())
    assert not run.learner.optimizer.state


FOUND_BY = {
    "bn_not_frozen": "frozen parts stay",
    "wrong_normalisation": "normalisation",
    "test_selected": "no test image in val",
    "shuffled_labels": "labels belong to images",
    "leaky_split": "no test image in train",
    "no_shuffle": "batches are shuffled",
    "double_softmax": "the loss gets logits",
    "lr_too_high": "learning-rate range test",
    "frozen_head": "the head is trained",
    "classes_by_position": "classes have the same numbers",
}


@pytest.mark.parametrize("fault", FOUND_BY)
def test_each_famous_mistake_fails_the_check_that_is_for_it(fault):
    model = {"bn_not_frozen": ["model=resnet20", *FROZEN_NORMS], "lr_too_high": ["model=resnet20"]}
    model = model.get(fault, ["model=conv4", "model.width=0.25"])
    run = started(*model, f"fault={fault}")
    if fault == "lr_too_high":
        found = check_fit(run.task, run.fit, new_head=True)[0]
    elif fault in ("bn_not_frozen", "frozen_head", "double_softmax"):
        checks = [check_frozen(run.learner, run.batch), check_head_learns(run.learner, new_head=True)]
        found = [*checks, check_logits(run.learner, run.batch)]
    else:
        found = list(check_task(run.task))
    assert bad(found).get(FOUND_BY[fault]) == FAILED
    assert bad(found).keys() <= {FOUND_BY[fault]}


def run_forward(run: SimpleNamespace, forward) -> SimpleNamespace:
    """The run with another pass in its training step."""
    learner = run.learner
    correct = learner.forward
    learner.forward = lambda images: forward(correct(images))
    return run


@pytest.fixture
def run():
    return started("model=conv4", "model.width=0.25")


def test_a_head_with_huge_weights_fails_the_first_loss_but_a_loaded_one_may_be_low(run):
    with torch.no_grad():
        run.network.head.weight.mul_(100)
    assert check_first_loss(run.learner, run.batch, new_head=True).outcome == FAILED
    with torch.no_grad():
        run.network.head.weight.zero_()
        run.network.head.bias.zero_()
    passed = check_first_loss(run.learner, run.batch, new_head=True)
    assert passed.outcome == PASSED and passed.seen.startswith(f"{math.log(10):.3f};")


def test_a_constant_output_is_found(run):
    constant = run_forward(run, lambda output: Output(output.logits * 0 + 1, {}))
    assert check_input_matters(constant.learner, run.batch).outcome == FAILED


def test_a_detached_backbone_gets_no_gradient(run):
    network = run.network
    run.learner.forward = lambda images: network.classify(network.features(images).detach())
    found = check_gradients(run.learner, run.batch)
    assert found.outcome == FAILED and "not backbone." in found.seen


def test_batch_statistics_in_evaluation_mode_are_found_with_a_batch_of_one(run):
    for module in run.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    assert check_single_image(run.learner, run.batch).outcome == FAILED


def test_code_that_asks_for_the_mode_is_found(run):
    head = run.network.head
    correct = head.forward
    head.forward = lambda features: correct(2 * features if head.training else features)
    assert check_modes(run.learner, run.batch).outcome == FAILED


def test_a_loss_that_goes_up_is_not_learned_by_heart(run):
    objective = run.learner.objective
    run.learner.objective = lambda *given: (found := objective(*given))._replace(objective=-found.objective)
    assert check_by_heart(run.learner, run.batch).outcome == FAILED


def test_the_checks_leave_a_network_that_is_trained_further_unchanged(healthy):
    assert check_frozen(healthy.learner, healthy.batch).seen == "0 of 0 frozen tensors moved in one step"


def test_a_class_without_training_images_fails(healthy):
    data = SimpleNamespace(
        train=healthy.data.train, val=healthy.data.val, test=healthy.data.test, unseen=(), classes=["x"] * 11
    )
    assert check_classes(data).outcome == FAILED


def test_the_range_test_finds_the_rate_of_the_lowest_loss_and_the_first_harmful_one():
    rates = np.array([0.001, 0.01, 0.1, 1.0, 10.0])
    found = judge_losses(rates, np.array([2.0, 1.5, 1.0, 2.4, 2.7]))
    assert (found.best, found.too_high) == (0.1, 10.0)  # 2.7 > 1.3 * 2.0 > 2.4
    outcomes = [check_rate(found, lr).outcome for lr in (5e-5, 0.01, 1.0, 10.0, 20.0)]
    assert outcomes == [WARNING, PASSED, PASSED, WARNING, FAILED]
    flat = judge_losses(rates, np.full(5, 2.3))
    assert check_rate(flat, 1e-6).outcome == PASSED


def test_the_machine_is_judged_by_threads_space_and_other_programs():
    assert environment.check_threads(8, cores=2, cpus=4, device="cpu").outcome == WARNING
    assert environment.check_threads(2, cores=2, cpus=4, device="cpu").outcome == PASSED
    assert [environment.check_space("disk", "free", gb, "free some").outcome for gb in (0.1, 1.0, 50.0)] == [
        FAILED, WARNING, PASSED,
    ]  # fmt: skip
    found = environment.check_others({"spinning": 0.9, "idle": 0.0})
    assert found.outcome == WARNING and "spinning 0.9" in found.seen
    assert environment.check_others({}).outcome == PASSED and environment.check_others(None) is None


def test_the_page_gives_reasons_and_advice_for_what_did_not_pass_only():
    found = [Finding("data", "a", PASSED, "x", "y"), Finding("data", "b", FAILED, "seen", "reason", "advice")]
    page = as_page(found, coloured=True)
    assert "reason" in page and "advice" in page and "why it matters: y" not in page
    assert "\033[1;31mfailed" in page and "\033" not in as_page(found)
    assert summary(found) == "2 checks: 1 passed, 0 warning, 1 failed"
    assert "| data | b | failed | seen | reason | advice |" in markdown(found)


def test_the_command_writes_its_files_and_fails_with_1_only_if_a_check_failed(tmp_path, capsys):
    words = [*TINY, "model=conv4", "model.width=0.25", f"output_dir={tmp_path}", "format=json"]
    assert main(words) == 0
    assert {row["outcome"] for row in json.loads(capsys.readouterr().out) if row["part"] != "environment"} == {PASSED}
    folder = tmp_path / "doctor" / "digits-conv4-scratch"
    assert {"doctor.txt", "doctor.json", "learning_rate.png"} <= {file.name for file in folder.iterdir()}
    assert main([*words, "fault=no_shuffle"]) == 1


@pytest.mark.parametrize("word", ["format=xml", "strategy=protonet", "mode=eval"])
def test_mistakes_in_the_command_are_one_line_and_exit_code_2(word, capsys, tmp_path):
    assert main([*TINY, "model=conv4", f"output_dir={tmp_path}", word]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not list(tmp_path.iterdir())
