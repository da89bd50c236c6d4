"""The default rules of a strategy: one per stage of the backbone, and the heads at the full learning rate."""

from __future__ import annotations

from collections.abc import Mapping

from vision2.basics.errors import UserError, suggest
from vision2.strategies.settings import StrategyConfig
from vision2.training.parameter_plan import Rule, backbone_stages

Stages = Mapping[str, tuple[str, ...]]  # stage -> prefixes of its parameter names, from input to output


def stage_rules(strategy: StrategyConfig, stages: Stages) -> list[Rule]:
    """Rules that train the stages from `strategy.unfreeze_from` to the last one, and always the heads.

    Raises:
        UserError: when `strategy.unfreeze_from` is not a stage of this network.
    """
    backbone = backbone_stages(stages)
    first = _first_learning_stage(strategy, backbone)
    rules = []
    for depth, stage in enumerate(backbone):
        from_the_top = len(backbone) - 1 - depth
        scale = strategy.backbone_lr_scale * strategy.layer_decay**from_the_top
        start = 1 + strategy.head_first_epochs + from_the_top * strategy.unfreeze_every_epochs
        rules += [Rule(prefix + "*", scale, start if depth >= first else None) for prefix in stages[stage]]
    return rules + head_rules(stages, ("aux", "head"))


def head_rules(stages: Stages, learning: tuple[str, ...]) -> list[Rule]:
    """Rules that train the stages named in `learning` from the first epoch at the full learning rate."""
    return [Rule(prefix + "*", 1.0, 1) for stage in learning for prefix in stages.get(stage, ())]


def _first_learning_stage(strategy: StrategyConfig, backbone: list[str]) -> int:
    if strategy.unfreeze_from is None:
        return 0
    if strategy.unfreeze_from == "head":
        return len(backbone)
    if strategy.unfreeze_from not in backbone:
        near = suggest(strategy.unfreeze_from, [*backbone, "head"], otherwise="")
        raise UserError(
            f"strategy.unfreeze_from={strategy.unfreeze_from} is not a stage of this model{near}"
            f" (stages: {', '.join(backbone)}, head)"
        )
    return backbone.index(strategy.unfreeze_from)
