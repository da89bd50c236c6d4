"""The optimizers do torch's arithmetic to the last bit, read its saved states, and never import its compiler."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from vision2.training.optimizer import Optimizer

STEPS = 4


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 3))


def groups_of(network: nn.Sequential) -> list[dict]:
    return [
        {"params": list(network[0].parameters()), "lr": 0.1, "lr_scale": 0.1, "weight_decay": 0.01},
        {"params": list(network[1].parameters()), "lr": 0.2, "lr_scale": 1.0, "weight_decay": 0.0},
    ]


def torchs(name: str, network: nn.Sequential, momentum: float) -> torch.optim.Optimizer:
    if name == "adamw":
        return torch.optim.AdamW(groups_of(network), fused=True)
    return torch.optim.SGD(groups_of(network), momentum=momentum, nesterov=momentum > 0, fused=True)


def take_steps(network: nn.Sequential, optimizer, steps: int, skipped: int | None = None) -> None:
    """`skipped`: a layer that is frozen in the first step, as with gradual unfreezing."""
    for step in range(steps):
        images = torch.randn(6, 5, generator=torch.Generator().manual_seed(step))
        network(images).square().sum().backward()
        if step == 0 and skipped is not None:
            for parameter in network[skipped].parameters():
                parameter.grad = None
        optimizer.param_groups[0]["lr"] *= 0.9
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("skipped", [None, 0])
@pytest.mark.parametrize(("name", "momentum"), [("sgd", 0.9), ("sgd", 0.0), ("adamw", 0.9)])
def test_every_step_equals_that_of_torchs_class(name, momentum, skipped):
    ours, theirs = layers(), layers()
    take_steps(ours, Optimizer(name, groups_of(ours), momentum=momentum), STEPS, skipped)
    take_steps(theirs, torchs(name, theirs, momentum), STEPS, skipped)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("saved_by", ["ours", "theirs"])
def test_a_saved_state_continues_bit_for_bit_also_that_of_torchs_class(name, saved_by):
    whole = layers()
    take_steps(whole, Optimizer(name, groups_of(whole), momentum=0.9), STEPS)
    first = layers()
    saving = Optimizer(name, groups_of(first), momentum=0.9) if saved_by == "ours" else torchs(name, first, 0.9)
    take_steps(first, saving, STEPS - 1)
    resumed = copy.deepcopy(first)
    optimizer = Optimizer(name, groups_of(resumed), momentum=0.9)
    optimizer.load_state_dict(saving.state_dict())
    optimizer.param_groups[0]["lr"] = saving.param_groups[0]["lr"] * 0.9
    images = torch.randn(6, 5, generator=torch.Generator().manual_seed(STEPS - 1))
    resumed(images).square().sum().backward()
    optimizer.step()
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_state_of_other_groups_is_refused():
    network = layers()
    state = Optimizer("sgd", groups_of(network), momentum=0.9).state_dict()
    with pytest.raises(ValueError, match="groups of"):
        Optimizer("sgd", groups_of(network)[:1], momentum=0.9).load_state_dict(state)


def test_a_training_step_does_not_import_torchs_compiler():
    code = (
        "import sys, torch; from vision2.training.optimizer import Optimizer;"
        "w = torch.nn.Parameter(torch.ones(3)); w.grad = torch.ones(3);"
        "g = {'params': [w], 'lr': 0.1, 'weight_decay': 0.0};"
        "[Optimizer(name, [dict(g)], momentum=0.9).step() for name in ('sgd', 'adamw')];"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_state_saved_in_another_memory_format_has_the_same_effect(name):
    """The fused functions go through memory in order, whatever the strides."""
    results = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        conv = nn.Conv2d(3, 4, 2)
        optimizer = Optimizer(name, [{"params": [conv.weight], "lr": 0.1, "lr_scale": 1.0, "weight_decay": 0.01}], momentum=0.9)
        for step in range(3):
            images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
            conv.double()(images).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            if step == 0:
                state, weights = copy.deepcopy(optimizer.state_dict()), conv.weight.detach().clone()
                conv.weight = nn.Parameter(weights.contiguous(memory_format=memory_format))
                group = {"params": [conv.weight], "lr": 0.1, "lr_scale": 1.0, "weight_decay": 0.01}
                optimizer = Optimizer(name, [group], momentum=0.9)
                optimizer.load_state_dict(state)
        results.append(conv.weight.detach())
    torch.testing.assert_close(results[0], results[1])
