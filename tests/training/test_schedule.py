from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision2.training.schedule import rate_factor, rise_on_resume
from vision2.training.settings import TrainConfig


def factors(**settings) -> list[float]:
    train = TrainConfig(**settings)
    return [rate_factor(step, steps_per_epoch=10, train=train) for step in range(train.epochs * 10)]


def test_warm_up_rises_in_equal_steps_to_the_base_rate():
    assert factors(epochs=2, warmup_epochs=0.5, schedule="constant")[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


def test_cosine_is_halfway_down_in_the_middle_and_near_zero_at_the_end():
    values = factors(epochs=2, warmup_epochs=0, schedule="cosine")
    assert values[0] == 1.0
    assert values[10] == pytest.approx(0.5)
    assert values[-1] == pytest.approx(0.5 * (1 + math.cos(math.pi * 19 / 20)))


def test_the_step_schedule_drops_at_the_milestones():
    values = factors(epochs=4, warmup_epochs=0, schedule="step", milestones=[0.5, 0.75], gamma=0.1)
    assert [values[19], values[20], values[29], values[30]] == pytest.approx([1, 0.1, 0.1, 0.01])


@given(epochs=st.integers(1, 5), warmup=st.floats(0, 10), kind=st.sampled_from(["cosine", "step", "constant"]))
def test_the_factor_stays_between_zero_and_one(epochs, warmup, kind):
    assert all(0 <= value <= 1 for value in factors(epochs=epochs, warmup_epochs=warmup, schedule=kind))


def test_a_fixed_length_keeps_the_schedule_and_continues_at_its_last_rate():
    fixed = factors(epochs=4, warmup_epochs=0, schedule_epochs=2)
    assert fixed[:20] == factors(epochs=2, warmup_epochs=0)
    assert fixed[20:] == [fixed[19]] * 20


def test_a_learning_rate_that_would_rise_again_is_reported_with_a_remedy():
    ten, twenty = TrainConfig(epochs=10), TrainConfig(epochs=20)
    assert "train.schedule_epochs=10" in rise_on_resume(ten, twenty, epochs_done=10)
    assert rise_on_resume(ten, TrainConfig(epochs=20, schedule_epochs=10), epochs_done=10) is None
    assert rise_on_resume(twenty, twenty, epochs_done=10) is None
    assert rise_on_resume(replace(ten, schedule="constant"), replace(twenty, schedule="constant"), epochs_done=10) is None
