"""The lecture's experiments: each composes at both budgets, states a claim that can be judged, and one runs to its page."""

from __future__ import annotations

import pytest

from vision2.config.compose import check_overrides, compose_config, to_config
from vision2.config.location import options
from vision2.config.sweep_plan import fixed_words, plan_sweep
from vision2.stats.verdict import parse_comparisons


@pytest.mark.parametrize("budget", ["lite", "full"])
@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_composes_and_states_a_claim_that_can_be_judged(name, budget):
    words = [f"experiment={name}", f"budget={budget}"] + (["dataset.root=."] if name == "final_project" else [])
    check_overrides(words)
    config = to_config(compose_config(fixed_words(words)))
    assert config.experiment.name == name
    assert config.experiment.claim
    assert config.experiment.claim_es
    assert config.experiment.source
    comparisons = parse_comparisons(config.experiment.comparisons)
    assert all(comparison.says and comparison.says_es for comparison in comparisons)


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_can_be_planned_on_digits_with_no_download(name):
    words = [f"experiment={name}", "dataset=digits", "seed=0"]
    if name in ("transfer_vgg19_cats_vs_dogs", "transfer_resnet18_cifar10"):
        words.append("dataset.image_size_px=32")
    plan = plan_sweep(words, compose_config(words))
    assert plan.jobs >= 1
    assert plan.first.dataset.name == "digits"


def test_an_experiment_is_one_plain_command_that_ends_in_a_verdict_and_a_page(vision2, tmp_path):
    done = vision2("train", "experiment=smoke", "device=cpu", timeout=240)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 jobs: 4 completed" in done.stdout
    assert "verdict: inconclusive" in done.stdout
    (page,) = tmp_path.rglob("report.html")
    text = page.read_text()
    assert text.index("after one epoch on 57 digits") < text.index("plain20")
    assert "python -m vision2.train experiment=smoke device=cpu<" in text  # the whole sweep again
    assert all((page.parent / name).exists() for name in ("report.md", "table.csv"))
