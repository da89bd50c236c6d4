"""SGD and AdamW through torch's functional API, with a learning-rate scale for each group of parameters.

The classes of `torch.optim` import torch's compiler in their constructor and again in `step`, which takes seconds before
the first update. The functions behind them do the same arithmetic, to the last bit, without it. The fused ones pass over
each tensor once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from vision2.strategies.settings import StrategyConfig
from vision2.training.parameter_plan import ParameterPlan

BETAS, EPS = (0.9, 0.999), 1e-8  # of AdamW (Kingma and Ba 2015, algorithm 1)


class Optimizer:
    """SGD (with Nesterov momentum unless `momentum` is 0) or AdamW (Loshchilov and Hutter 2019).

    Args:
        name: sgd | adamw.
        groups: each a dict with `params`, `lr`, `lr_scale` and `weight_decay`; `lr` may be changed between steps.
    """

    def __init__(self, name: str, groups: Iterable[dict], *, momentum: float = 0.0):
        self.param_groups, self.momentum = list(groups), momentum
        self.state: dict[nn.Parameter, dict[str, torch.Tensor]] = defaultdict(dict)
        self._update = {"sgd": self._sgd, "adamw": self._adamw}[name]

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            params = [parameter for parameter in group["params"] if parameter.grad is not None]
            if params:
                settings = {"lr": group["lr"], "weight_decay": group["weight_decay"], "fused": True, "maximize": False}
                self._update(params, [parameter.grad for parameter in params], settings)

    def zero_grad(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def state_dict(self) -> dict:
        """In the format of `torch.optim`: parameters are numbered in the order of their groups."""
        numbers = {parameter: number for number, parameter in enumerate(self._parameters())}
        groups = [{**group, "params": [numbers[p] for p in group["params"]]} for group in self.param_groups]
        return {"state": {numbers[p]: dict(state) for p, state in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, saved: dict) -> None:
        """Raises ValueError if the saved groups have other sizes."""
        sizes = [[len(group["params"]) for group in groups] for groups in (saved["param_groups"], self.param_groups)]
        if sizes[0] != sizes[1]:
            raise ValueError(f"the saved optimizer has groups of {sizes[0]} parameters, this one of {sizes[1]}")
        parameters = self._parameters()
        for number, state in saved["state"].items():
            parameter = parameters[number]
            for key, value in state.items():
                if value is not None:
                    # The fused functions need averages in the parameter's memory format, and steps in float32.
                    like = torch.zeros((), device=parameter.device) if key == "step" else torch.zeros_like(parameter)
                    self.state[parameter][key] = like.copy_(value)

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _sgd(self, params: list, grads: list, settings: dict) -> None:
        buffers = [self._started(p, "momentum_buffer")["momentum_buffer"] for p in params] if self.momentum else []
        sgd(params, grads, buffers, momentum=self.momentum, dampening=0.0, nesterov=self.momentum > 0, **settings)

    def _adamw(self, params: list, grads: list, settings: dict) -> None:
        for parameter in params:
            if "step" not in self._started(parameter, "exp_avg", "exp_avg_sq"):
                self.state[parameter]["step"] = torch.zeros((), device=parameter.device)
        averages, squares, steps = ([self.state[p][key] for p in params] for key in ("exp_avg", "exp_avg_sq", "step"))
        about = {"amsgrad": False, "beta1": BETAS[0], "beta2": BETAS[1], "eps": EPS, "decoupled_weight_decay": True}
        adam(params, grads, averages, squares, [], steps, **about, **settings)

    def _started(self, parameter: nn.Parameter, *keys: str) -> dict[str, torch.Tensor]:
        """The state of a parameter, whose averages start at zero."""
        state = self.state[parameter]
        if keys[0] not in state:
            state |= {key: torch.zeros_like(parameter) for key in keys}
        return state


def build_optimizer(network: nn.Module, plan: list[ParameterPlan], strategy: StrategyConfig) -> Optimizer:
    """The optimizer of a strategy, with a group for each learning-rate scale and weight decay in use."""
    parameters, groups = dict(network.named_parameters()), {}
    for entry in plan:
        if entry.learns_from is not None:
            decays = entry.decays and not (strategy.l2_sp and entry.name.startswith("backbone."))  # L2-SP replaces it
            groups.setdefault((entry.lr_scale, decays), []).append(parameters[entry.name])
    settings = [
        {"params": members, "lr": strategy.lr, "lr_scale": scale, "weight_decay": strategy.weight_decay if decays else 0.0}
        for (scale, decays), members in groups.items()
    ]
    return Optimizer(strategy.optimizer, settings, momentum=strategy.momentum)
