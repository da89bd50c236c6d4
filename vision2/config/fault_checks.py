"""Refuse a fault where it could not show, or where it would spoil a claim that does not ask for it."""

from __future__ import annotations

from collections.abc import Iterator

from vision2.config.schema import Config

STRATEGIES = ("scratch", "finetune")  # those in which every fault can show


def fault_problems(config: Config) -> Iterator[str]:
    """One line per setting that contradicts `fault`; none without a fault."""
    fault, strategy = config.fault, config.strategy
    if fault is None:
        return
    if config.mode == "eval" and not config.checkpoint:
        yield f"fault={fault} spoils training, so it has no effect with mode=eval; leave out one of them"
    if strategy.name not in STRATEGIES or config.dataset.split_by == "class":
        usable = " or ".join(f"strategy={name}" for name in STRATEGIES)
        yield f"fault={fault} shows only in training on images in epochs; use {usable}, without dataset.split_by=class"
    if fault == "bn_not_frozen" and not strategy.unfreeze_from and strategy.batchnorm != "frozen":
        yield "fault=bn_not_frozen needs frozen batch-norm layers; add strategy.batchnorm=frozen or strategy.unfreeze_from=head"
    late = strategy.unfreeze_from == "head" or strategy.head_first_epochs or strategy.unfreeze_every_epochs
    if fault == "frozen_head" and late:
        yield (
            "fault=frozen_head would leave nothing to train in the first epochs; leave out strategy.unfreeze_from=head,"
            " strategy.head_first_epochs and strategy.unfreeze_every_epochs"
        )
    if config.experiment.comparisons and not _compares_faults(config):
        name = config.experiment.name
        yield (
            f"fault={fault} would spoil the claim of experiment={name}, which does not compare faults; leave it out, or see"
            " experiment=mistakes"
        )


def _compares_faults(config: Config) -> bool:
    sides = [each.get(side) for each in config.experiment.comparisons if isinstance(each, dict) for side in ("a", "b")]
    return any("fault" in side for side in sides if isinstance(side, dict))
