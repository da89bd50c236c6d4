"""Strategies as rules: what is trained, from which epoch and at which rate; frozen parts stay bit-identical."""

from __future__ import annotations

import pytest
import torch
from tiny_network import plan_for
from torch import nn

from vision2.basics.errors import UserError
from vision2.models.build import build_model, meta_network
from vision2.models.cards import catalogue
from vision2.models.settings import ModelConfig
from vision2.strategies.settings import RuleConfig, StrategyConfig
from vision2.training.learner import Learner
from vision2.training.parameter_plan import Rule, apply_phase, plan_parameters, set_training_mode, stage_of, trainable_map
from vision2.training.settings import TrainConfig

STAGES = ("stem", "layer1", "layer2", "layer3")  # resnet20, from input to output


def resnet20(seed=0):
    return build_model(ModelConfig("resnet20"), 3, seed=seed)


def rates(strategy, epoch):
    """Learning-rate scale of the stages that are trained in an epoch."""
    plan = plan_for(resnet20(), strategy)
    return {entry.stage: entry.lr_scale for entry in plan if entry.learns_at(epoch)}


def finetune(**settings):
    return StrategyConfig(name="finetune", **settings)


class FixedBatches(list):
    def epoch(self, epoch, place=None):
        return iter(self)


def batches(count=2):
    from types import SimpleNamespace

    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(6) % 3
    return FixedBatches(
        SimpleNamespace(images=torch.randn(6, 3, 16, 16, generator=generator), targets=labels, labels=labels)
        for _ in range(count)
    )


def learner(strategy, epochs=4):
    train = TrainConfig(epochs=epochs, warmup_epochs=0, schedule="constant")
    network = resnet20()
    return Learner(network, plan_for(network, strategy), strategy, train, precision="float32", seed=0)


@pytest.mark.parametrize("aux", [False, True])
@pytest.mark.parametrize("name", sorted(catalogue()))
def test_rules_cover_every_parameter_of_every_model(name, aux):
    if aux and not catalogue()[name].has_aux:
        pytest.skip("no auxiliary classifiers")
    network = meta_network(ModelConfig(name, aux=aux))
    for strategy in (
        finetune(layer_decay=0.5, head_first_epochs=1),
        StrategyConfig(name="feature_extraction", features="every_epoch"),
    ):
        plan = plan_for(network, strategy)
        assert [entry.name for entry in plan] == [name for name, _ in network.named_parameters()]
        assert {entry.stage for entry in plan} == set(network.stages)
    frozen = [entry for entry in plan if entry.learns_from is None]
    assert {entry.stage for entry in frozen} == set(network.stages) - {"aux", "head"}


def test_the_pretrained_part_has_its_own_learning_rate():
    assert rates(finetune(backbone_lr_scale=0.1), 1) == dict.fromkeys(STAGES, 0.1) | {"head": 1.0}


def test_layer_decay_lowers_the_rate_stage_by_stage_towards_the_input():
    found = rates(finetune(backbone_lr_scale=0.2, layer_decay=0.5), 1)
    assert found == pytest.approx({"stem": 0.025, "layer1": 0.05, "layer2": 0.1, "layer3": 0.2, "head": 1.0})


def test_only_the_named_stage_and_later_ones_are_trained():
    assert set(rates(finetune(unfreeze_from="layer2"), 9)) == {"layer2", "layer3", "head"}
    assert set(rates(finetune(unfreeze_from="head"), 9)) == {"head"}


def test_an_unknown_stage_is_refused_with_the_closest_name_and_all_stages():
    with pytest.raises(UserError, match=r"did you mean 'layer2'\? \(stages: stem, layer1, layer2, layer3, head\)"):
        plan_for(resnet20(), finetune(unfreeze_from="layer_2"))


def test_a_stage_that_resembles_none_is_refused_with_the_stages_once():
    with pytest.raises(UserError) as caught:
        plan_for(resnet20(), finetune(unfreeze_from="zzz"))
    assert (
        str(caught.value)
        == "strategy.unfreeze_from=zzz is not a stage of this model (stages: stem, layer1, layer2, layer3, head)"
    )


def test_head_first_then_everything():
    strategy = finetune(head_first_epochs=2)
    assert [set(rates(strategy, epoch)) for epoch in (1, 2, 3)] == [{"head"}, {"head"}, {*STAGES, "head"}]


def test_gradual_unfreezing_adds_one_stage_at_a_time_from_the_last_down():
    strategy = finetune(head_first_epochs=1, unfreeze_every_epochs=2)
    expected = {1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 8: 4, 20: 4}  # stages of the backbone that are trained
    for epoch, count in expected.items():
        assert set(rates(strategy, epoch)) == {"head", *STAGES[len(STAGES) - count :]}


def test_norms_and_biases_do_not_decay_unless_configured():
    plan = plan_for(resnet20(), finetune())
    assert {e.name for e in plan if e.decays} == {n for n, p in resnet20().named_parameters() if p.ndim > 1}
    assert all(entry.decays for entry in plan_for(resnet20(), finetune(decay_norm_and_bias=True)))


@pytest.mark.parametrize(
    "strategy",
    [
        finetune(rules=[RuleConfig("*", frozen=True)]),
        finetune(rules=[RuleConfig("head.*", frozen=True)], head_first_epochs=1),
    ],
    ids=["never", "not in the first epoch"],
)
def test_a_strategy_that_trains_nothing_is_refused(strategy):
    with pytest.raises(UserError, match="no parameter is trained in the first epoch"):
        plan_for(resnet20(), strategy)


def test_custom_rules_take_precedence_and_must_match_something():
    rules = [RuleConfig("backbone.layer1.*", lr_scale=7.0), RuleConfig("backbone.layer*", frozen=True)]
    assert rates(finetune(rules=rules), 1) == {"stem": 1.0, "layer1": 7.0, "head": 1.0}
    with pytest.raises(UserError, match=r"'backbone\.layer9\.\*' matches no parameter"):
        plan_for(resnet20(), finetune(rules=[RuleConfig("backbone.layer9.*")]))


def test_a_parameter_that_no_rule_covers_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"no rule covers parameter backbone\.conv1\.weight"):
        plan_parameters(resnet20(), [Rule("head.*", 1.0, 1)], finetune())


def test_a_rule_shadowed_by_an_earlier_one_is_refused_and_both_are_named():
    rules = [RuleConfig("backbone.*", lr_scale=0.5), RuleConfig("backbone.layer1.*", frozen=True)]
    with pytest.raises(UserError, match=r"'backbone\.layer1\.\*' never applies, because the earlier 'backbone\.\*' already"):
        plan_for(resnet20(), finetune(rules=rules))


def test_each_optimiser_group_has_the_learning_rate_of_its_stage():
    subject = learner(finetune(lr=0.2, backbone_lr_scale=0.1, layer_decay=0.5))
    subject.train_epoch(batches(1), 1)
    by_name = {id(p): name for name, p in subject.network.named_parameters()}
    for group in subject.optimizer.param_groups:
        for parameter in group["params"]:
            stage = stage_of(by_name[id(parameter)], subject.network.stages)
            depth = STAGES[::-1].index(stage) if stage != "head" else None
            assert group["lr"] == pytest.approx(0.2 if depth is None else 0.2 * 0.1 * 0.5**depth)


@pytest.mark.parametrize(
    ("strategy", "frozen"),
    [
        (StrategyConfig(name="feature_extraction", lr=0.5), STAGES),
        (finetune(lr=0.5, unfreeze_from="layer3"), ("stem", "layer1", "layer2")),
        (finetune(lr=0.5, head_first_epochs=9), STAGES),
        (finetune(lr=0.5, unfreeze_every_epochs=1), ("stem", "layer1")),  # two epochs unfreeze two stages
        (finetune(lr=0.5, rules=[RuleConfig("backbone.layer2.*", frozen=True)]), ("layer2",)),
    ],
)
def test_frozen_parts_are_bit_identical_after_training_including_statistics(strategy, frozen):
    subject = learner(strategy)
    before = {name: value.clone() for name, value in subject.network.state_dict().items()}
    for epoch in (1, 2):
        subject.train_epoch(batches(), epoch)
    for name, value in subject.network.state_dict().items():
        stage = stage_of(name, subject.network.stages)
        if stage in frozen:
            assert torch.equal(value, before[name]), name
        elif name.endswith("weight"):
            assert not torch.equal(value, before[name]), name


def test_frozen_batchnorm_keeps_its_statistics_while_its_weights_are_trained():
    subject = learner(finetune(batchnorm="frozen", lr=0.5))
    before = {name: value.clone() for name, value in subject.network.state_dict().items()}
    subject.train_epoch(batches(), 1)
    after = subject.network.state_dict()
    statistics = [name for name in after if "running" in name or "tracked" in name]
    assert statistics
    assert all(torch.equal(after[name], before[name]) for name in statistics)
    assert not torch.equal(after["backbone.layer3.0.bn1.weight"], before["backbone.layer3.0.bn1.weight"])


def test_frozen_parts_run_in_evaluation_mode_even_after_train_was_called():
    network, strategy = resnet20().train(), finetune(unfreeze_from="layer3")
    apply_phase(network, plan_for(network, strategy), 1)
    set_training_mode(network, strategy)
    modes = {name: module.training for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert all(mode == name.startswith("backbone.layer3") for name, mode in modes.items())


@pytest.mark.parametrize(
    "strategy",
    [
        finetune(lr=0.02, head_first_epochs=2),
        finetune(lr=0.02, head_first_epochs=1, unfreeze_every_epochs=1, l2_sp=0.1),
        finetune(lr=0.02, optimizer="adamw", head_first_epochs=2, layer_decay=0.7),
    ],
)
@pytest.mark.parametrize("boundary", [1, 2, 3])
def test_resuming_at_a_phase_boundary_equals_an_uninterrupted_run(strategy, boundary):
    straight, first = learner(strategy), learner(strategy)
    for epoch in range(1, 5):
        straight.train_epoch(batches(), epoch)
    for epoch in range(1, boundary + 1):
        first.train_epoch(batches(), epoch)
    second = learner(strategy)
    second.load_state_dict(first.state_dict())
    for epoch in range(boundary + 1, 5):
        second.train_epoch(batches(), epoch)
    for a, b in zip(straight.network.state_dict().values(), second.network.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_the_trainable_map_lists_parameters_rates_norms_and_the_first_epoch_of_each_stage():
    strategy = finetune(lr=0.1, backbone_lr_scale=0.1, head_first_epochs=3, unfreeze_from="layer3", batchnorm="frozen")
    network = resnet20()
    rows = {row["stage"]: row for row in trainable_map(network, plan_for(network, strategy), strategy)}
    assert sum(row["parameters"] for row in rows.values()) == sum(p.numel() for p in network.parameters())
    assert (rows["layer2"]["learning"], rows["layer2"]["lr"]) == (0, [])
    assert (rows["layer3"]["from_epoch"], rows["layer3"]["batchnorm"]) == (4, "frozen")
    assert rows["layer3"]["lr"] == pytest.approx([0.01])
    assert (rows["head"]["from_epoch"], rows["head"]["lr"]) == (1, [0.1])
