"""A fault is asked for by name, cannot be switched on by accident, and its absence changes nothing."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from vision2.basics.errors import UserError
from vision2.config.compose import load_config
from vision2.faults.table import FAULTS
from vision2.runs.identity import config_hash


def problem(*overrides: str) -> str:
    with pytest.raises(UserError) as found:
        load_config(list(overrides))
    return str(found.value)


def test_no_fault_is_the_default_and_leaves_the_identity_of_earlier_runs_unchanged():
    config = asdict(load_config([]))
    assert config["fault"] is None
    assert config_hash(config) == config_hash({key: value for key, value in config.items() if key != "fault"})


@pytest.mark.parametrize("name", FAULTS)
def test_a_run_with_a_fault_is_never_taken_for_the_correct_one(name):
    overrides = ["strategy=finetune", "strategy.pretrained=false", "strategy.batchnorm=frozen"]
    assert config_hash(asdict(load_config([*overrides, f"fault={name}"]))) != config_hash(asdict(load_config(overrides)))


def test_an_unknown_fault_is_refused_with_the_nearest_name():
    assert "did you mean 'leaky_split'" in problem("fault=leaky_splits")


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["strategy=feature_extraction", "model=resnet18"], "strategy=scratch or strategy=finetune"),
        (["experiment=degradation", "dataset=digits", "model=resnet20", "seed=0"], "experiment=mistakes"),
    ],
)
def test_a_fault_is_refused_where_it_could_not_show_or_would_spoil_a_claim(overrides, remedy):
    assert remedy in problem("fault=leaky_split", *overrides)


def test_a_fault_in_batch_norm_needs_frozen_batch_norm():
    assert "strategy.batchnorm=frozen" in problem("fault=bn_not_frozen")


def test_a_frozen_head_needs_something_else_to_train():
    assert "unfreeze_from" in problem("fault=frozen_head", "strategy.unfreeze_from=head")
