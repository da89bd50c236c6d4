"""Which parameters are trained, from which epoch and at which learning rate: ordered rules over parameter names.

The first rule that matches a parameter applies, and every parameter must be covered. Phases (head first, gradual
unfreezing) are a pure function of the epoch, so a resumed run needs no state to know which phase it is in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from vision2.basics.errors import UserError
from vision2.strategies.settings import RuleConfig, StrategyConfig

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.GroupNorm, nn.LayerNorm)
BATCH_NORMS = NORMS[:4]


@dataclass(frozen=True)
class Rule:
    """Train parameters whose names match the glob `match` at lr * `lr_scale` from epoch `learns_from` (None: never)."""

    match: str
    lr_scale: float
    learns_from: int | None


@dataclass(frozen=True)
class ParameterPlan:
    name: str
    stage: str
    lr_scale: float
    learns_from: int | None  # epoch, counted from 1; None = frozen for the whole run
    decays: bool  # whether weight decay applies

    def learns_at(self, epoch: int) -> bool:
        return self.learns_from is not None and epoch >= self.learns_from


def backbone_stages(stages: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Stage names from input to output, without the head and the auxiliary classifiers."""
    return [name for name in stages if name not in ("aux", "head")]


def plan_parameters(network: nn.Module, rules: Sequence[Rule], strategy: StrategyConfig) -> list[ParameterPlan]:
    """Return the plan of each parameter of a network with `.stages`, in `named_parameters` order.

    Args:
        rules: the rules of the strategy; those in `strategy.rules` take precedence.

    Raises:
        UserError: when a rule in `strategy.rules` never applies, or no parameter is trained in the first epoch.
        ValueError: when no rule covers a parameter (a bug in the network's stages).
    """
    own = [Rule(rule.match, rule.lr_scale, None if rule.frozen else 1) for rule in strategy.rules]
    applied, plan = set(), []
    for name, parameter in network.named_parameters():
        rule = next((rule for rule in (*own, *rules) if fnmatchcase(name, rule.match)), None)
        if rule is None:
            raise ValueError(f"no rule covers parameter {name}")
        applied.add(rule.match)
        decays = strategy.decay_norm_and_bias or parameter.ndim > 1
        plan.append(ParameterPlan(name, stage_of(name, network.stages), rule.lr_scale, rule.learns_from, decays))
    _check_user_rules(strategy.rules, applied, [entry.name for entry in plan])
    if strategy.rules and not any(entry.learns_at(1) for entry in plan):
        frozen = ", ".join(rule.match for rule in strategy.rules if rule.frozen)
        raise UserError(
            f"no parameter is trained in the first epoch: strategy.rules freezes {frozen}; leave at least the head trainable"
        )
    return plan


def _check_user_rules(rules: Sequence[RuleConfig], applied: set[str], names: Sequence[str]) -> None:
    for position, rule in enumerate(rules):
        if rule.match in applied:
            continue
        matching = [name for name in names if fnmatchcase(name, rule.match)]
        if not matching:
            raise UserError(
                f"strategy.rules: '{rule.match}' matches no parameter; give a pattern for names such as '{names[0]}'"
            )
        earlier = [other.match for other in rules[:position] if any(fnmatchcase(name, other.match) for name in matching)]
        raise UserError(
            f"strategy.rules: '{rule.match}' never applies, because the earlier '{earlier[0]}' already covers"
            f" '{matching[0]}'; put the narrower rule first, or leave it out"
        )


def stage_of(name: str, stages: Mapping[str, tuple[str, ...]]) -> str:
    """The stage to which the name of a parameter, buffer or module belongs."""
    return next(stage for stage, prefixes in stages.items() if any((name + ".").startswith(p) for p in prefixes))


def apply_phase(network: nn.Module, plan: Sequence[ParameterPlan], epoch: int) -> None:
    """Set `requires_grad` on exactly the parameters that are trained in this epoch."""
    parameters = dict(network.named_parameters())
    for entry in plan:
        learns = entry.learns_at(epoch)
        parameters[entry.name].requires_grad_(learns)
        if not learns:
            parameters[entry.name].grad = None


def set_training_mode(network: nn.Module, strategy: StrategyConfig) -> None:
    """Call `network.train()`, then put everything that must not change into evaluation mode.

    A stage without a trained parameter is put into evaluation mode as a whole, including batch norm and dropout; with
    `strategy.batchnorm=frozen`, so is every norm layer of the backbone.
    """
    network.train()
    learning = {stage_of(n, network.stages) for n, p in network.named_parameters() if p.requires_grad}
    frozen = [prefix for stage, prefixes in network.stages.items() if stage not in learning for prefix in prefixes]
    if not learning.intersection(backbone_stages(network.stages)) and "aux" not in learning:
        network.backbone.eval()  # also covers dropout between the stages
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        in_frozen_stage = any((name + ".").startswith(prefix) for prefix in frozen)
        frozen_norm = isinstance(module, NORMS) and (
            (strategy.batchnorm == "frozen" and name.startswith("backbone.")) or (own and not any(p.requires_grad for p in own))
        )
        if in_frozen_stage or frozen_norm:
            module.eval()


def trainable_map(network: nn.Module, plan: Sequence[ParameterPlan], strategy: StrategyConfig) -> list[dict]:
    """One row per stage: its parameters, how many are trained and from which epoch, batch-norm mode, learning rate(s)."""
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    norms = dict.fromkeys(network.stages, 0)
    for name, module in network.named_modules():
        if isinstance(module, BATCH_NORMS):
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
    """The rows of `trainable_map` as aligned text for the terminal."""
    lines = [f"{'stage':12}{'parameters':>12}{'trainable':>12}  {'batch-norm':10}  learning rate"]
    for row in rows:
        rate = ", ".join(f"{lr:g}" for lr in row["lr"]) or "frozen"
        later = f" from epoch {row['from_epoch']}" if (row["from_epoch"] or 1) > 1 else ""
        lines.append(f"{row['stage']:12}{row['parameters']:>12,}{row['learning']:>12,}  {row['batchnorm']:10}  {rate}{later}")
    return "\n".join(lines)
