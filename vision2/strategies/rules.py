"""A strategy as data: ordered rules over parameter names say who learns, from which epoch, at which rate.

The first rule that matches a parameter wins and every parameter must be covered. Phases (head first, gradual
unfreezing) are a pure function of the epoch, so a resumed run needs no state to know where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from vision2.basics.errors import UserError, suggest
from vision2.strategies.settings import StrategyConfig

NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


@dataclass(frozen=True)
class Rule:
    """Parameters whose name matches the glob `match` learn at lr * `lr_scale` from epoch `learns_from` (None: never)."""

    match: str
    lr_scale: float
    learns_from: int | None


@dataclass(frozen=True)
class ParameterPlan:
    name: str
    stage: str
    lr_scale: float
    learns_from: int | None  # 1-based epoch, None = frozen for the whole run
    decays: bool

    def learns_at(self, epoch: int) -> bool:
        return self.learns_from is not None and epoch >= self.learns_from


def backbone_stages(stages: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Stage names from input to output without the head and the auxiliary heads."""
    return [name for name in stages if name not in ("aux", "head")]


def rules_of(strategy: StrategyConfig, stages: Mapping[str, tuple[str, ...]]) -> list[Rule]:
    """The ordered rules a strategy stands for: the user's own, then one for each stage.

    Raises:
        UserError: when `strategy.unfreeze_from` names no stage of this network.
    """
    backbone = backbone_stages(stages)
    first = _first_learning_stage(strategy, backbone)
    rules = [Rule(rule.match, rule.lr_scale, None if rule.frozen else 1) for rule in strategy.rules]
    for depth, stage in enumerate(backbone):
        scale = strategy.backbone_lr_scale * strategy.layer_decay ** (len(backbone) - 1 - depth)
        learns_from = _start(strategy, from_the_top=len(backbone) - 1 - depth) if depth >= first else None
        rules += [Rule(prefix + "*", scale, learns_from) for prefix in stages[stage]]
    for stage in ("aux", "head"):
        rules += [Rule(prefix + "*", 1.0, 1) for prefix in stages.get(stage, ())]
    return rules


def _first_learning_stage(strategy: StrategyConfig, backbone: Sequence[str]) -> int:
    if strategy.name == "feature_extraction":
        return len(backbone)
    if strategy.unfreeze_from is None:
        return 0
    if strategy.unfreeze_from == "head":
        return len(backbone)
    if strategy.unfreeze_from not in backbone:
        near = suggest(strategy.unfreeze_from, [*backbone, "head"])
        raise UserError(f"strategy.unfreeze_from={strategy.unfreeze_from} names no stage of this model{near}"
                        f" (stages: {', '.join(backbone)}, head)")  # fmt: skip
    return backbone.index(strategy.unfreeze_from)


def _start(strategy: StrategyConfig, *, from_the_top: int) -> int:
    """The epoch from which a stage learns; `from_the_top` is 0 for the last stage of the backbone."""
    return 1 + strategy.head_first_epochs + from_the_top * strategy.unfreeze_every_epochs


def plan_parameters(network: nn.Module, strategy: StrategyConfig) -> list[ParameterPlan]:
    """What each parameter of a network with `.stages` does under a strategy, in `named_parameters` order.

    Raises:
        UserError: when a rule of the user's matches nothing, a stage is unknown, or nothing is left to learn.
        ValueError: when a parameter is covered by no rule (a bug in the network's stages).
    """
    rules = rules_of(strategy, network.stages)
    used, plan = set(), []
    for name, parameter in network.named_parameters():
        rule = next((rule for rule in rules if fnmatchcase(name, rule.match)), None)
        if rule is None:
            raise ValueError(f"no rule covers parameter {name}")
        used.add(rule.match)
        decays = strategy.decay_norm_and_bias or parameter.ndim > 1
        plan.append(ParameterPlan(name, stage_of(name, network.stages), rule.lr_scale, rule.learns_from, decays))
    idle = [rule.match for rule in strategy.rules if rule.match not in used]
    if idle:
        raise UserError(f"strategy.rules: '{idle[0]}' matches no parameter; names look like '{plan[0].name}'")
    if strategy.rules and not any(entry.learns_at(1) for entry in plan):
        frozen = ", ".join(rule.match for rule in strategy.rules if rule.frozen)
        raise UserError(
            f"nothing learns in the first epoch: strategy.rules freeze {frozen}; let the head learn at least"
        )
    return plan


def stage_of(name: str, stages: Mapping[str, tuple[str, ...]]) -> str:
    """The stage a parameter, buffer or module name belongs to."""
    return next(stage for stage, prefixes in stages.items() if any((name + ".").startswith(p) for p in prefixes))


def apply_phase(network: nn.Module, plan: Sequence[ParameterPlan], epoch: int) -> None:
    """Let exactly the parameters that learn in this epoch require a gradient."""
    parameters = dict(network.named_parameters())
    for entry in plan:
        learns = entry.learns_at(epoch)
        parameters[entry.name].requires_grad_(learns)
        if not learns:
            parameters[entry.name].grad = None


def set_training_mode(network: nn.Module, strategy: StrategyConfig) -> None:
    """`network.train()`, then evaluation mode for all that must not move: call it after every `.train()`.

    A stage without a learning parameter runs in evaluation mode as a whole (its batch-norm statistics and dropout
    included); with `strategy.batchnorm=frozen` so does every norm layer of the backbone.
    """
    network.train()
    learning = {stage_of(n, network.stages) for n, p in network.named_parameters() if p.requires_grad}
    frozen = [prefix for stage, prefixes in network.stages.items() if stage not in learning for prefix in prefixes]
    if not learning.intersection(backbone_stages(network.stages)) and "aux" not in learning:
        network.backbone.eval()  # dropout between the stages too
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        in_frozen_stage = any((name + ".").startswith(prefix) for prefix in frozen)
        norm_at_rest = isinstance(module, NORMS) and (
            (strategy.batchnorm == "frozen" and name.startswith("backbone."))
            or (own and not any(p.requires_grad for p in own))
        )
        if in_frozen_stage or norm_at_rest:
            module.eval()


def trainable_map(network: nn.Module, plan: Sequence[ParameterPlan], strategy: StrategyConfig) -> list[dict]:
    """One row a stage: parameters, how many learn and from which epoch, batch-norm mode, learning rate(s)."""
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    norms = dict.fromkeys(network.stages, 0)
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            norms[stage_of(name, network.stages)] += 1
    rows = []
    for stage in network.stages:
        entries = [entry for entry in plan if entry.stage == stage]
        learning = [entry for entry in entries if entry.learns_from is not None]
        frozen_norms = not learning or (strategy.batchnorm == "frozen" and stage not in ("aux", "head"))
        rows.append({
            "stage": stage,
            "parameters": sum(sizes[entry.name] for entry in entries),
            "learning": sum(sizes[entry.name] for entry in learning),
            "from_epoch": min((entry.learns_from for entry in learning), default=None),
            "batchnorm": "none" if not norms[stage] else "frozen" if frozen_norms else "adapts",
            "lr": sorted({strategy.lr * entry.lr_scale for entry in learning}),
        })  # fmt: skip
    return rows


def format_map(rows: Sequence[dict]) -> str:
    """The trainable map as aligned text for the terminal."""
    lines = [f"{'stage':12}{'parameters':>12}{'learning':>12}  {'batch-norm':10}  learning rate"]
    for row in rows:
        rate = ", ".join(f"{lr:g}" for lr in row["lr"]) or "frozen"
        later = f" from epoch {row['from_epoch']}" if (row["from_epoch"] or 1) > 1 else ""
        lines.append(
            f"{row['stage']:12}{row['parameters']:>12,}{row['learning']:>12,}  {row['batchnorm']:10}  {rate}{later}"
        )
    return "\n".join(lines)
