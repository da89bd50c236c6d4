"""The experiments of the lecture: each composes at both budgets, states a claim that can be judged, and has valid jobs.

tests/test_cli.py runs one of them from the command to its page.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import product

import pytest

from vision2.config.compose import compose_config, to_config
from vision2.config.location import options
from vision2.config.overrides import check_overrides, expand
from vision2.config.sweep_plan import plan_sweep
from vision2.report.comparisons import parse_comparisons
from vision2.runs.records import look_up

EXPERIMENTS = options("experiment")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_can_be_planned_on_digits_without_a_download(name):
    overrides = [f"experiment={name}", "dataset=digits", "seed=0"]
    if name in ("transfer_vgg19_cats_vs_dogs", "transfer_resnet18_cifar10"):
        overrides.append("dataset.image_size_px=32")
    plan = plan_sweep(overrides, compose_config(overrides))
    assert plan.jobs >= 1
    assert plan.first.dataset.name == "digits"


@pytest.mark.parametrize("budget", ["lite", "full"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_states_a_claim_fixes_its_seeds_and_compares_single_configurations(name, budget):
    """Each side of a comparison matches one job per seed and pair: a mean over several would be refused."""
    overrides = [f"experiment={name}", f"budget={budget}", *(["dataset.root=."] if name == "final_project" else [])]
    check_overrides(overrides)
    node = compose_config(overrides)
    stated, parameters = to_config(node).experiment, dict(node.hydra.sweeper.params)
    assert stated.name == name and stated.claim and stated.claim_es and stated.source
    assert all(comparison.says and comparison.says_es for comparison in parse_comparisons(stated.comparisons))
    assert str(parameters.pop("seed")) == stated.seeds and stated.seeds.replace(",", "").isdigit()
    shared = [*(f"{key}={value}" for key, value in parameters.items()), *overrides]
    configs = [asdict(to_config(compose_config([*job, "seed=0"]))) for job in product(*map(expand, shared))]
    for comparison in parse_comparisons(stated.comparisons):
        for side in (comparison.a, comparison.b):
            wanted = {key: value if isinstance(value, list) else [value] for key, value in side.items()}
            jobs = [config for config in configs if all(look_up(config, key) in wanted[key] for key in wanted)]
            keys = (*comparison.pair_on, *comparison.tuned)
            pairs = [tuple(str(look_up(config, key)) for key in keys) for config in jobs]
            assert pairs and len(set(pairs)) == len(pairs), f"{side} matches {len(jobs)} jobs of one seed"
