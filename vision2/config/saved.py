"""Configurations that a run folder or a checkpoint holds: read as plain values, with only a named list of changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from vision2.basics.errors import UserError
from vision2.config.compose import from_dict
from vision2.config.schema import Config

# What may differ when a run goes on: how long, where and how it is watched, but nothing that made its first epochs.
CHANGES_ON_RESUME = ("train.epochs", "train.patience", "device", "dataset.root", "dataset.cache_dir", "dataset.workers")
CHANGES_ON_EVAL = ("dataset", "device", "train.batch_size", "seed")


def config_of_run(folder: str, words: Sequence[str]) -> Config:
    """The configuration of the run in `folder`, with the changes that a resumed run may have.

    Raises:
        UserError: when the folder holds no run that can go on, or a word changes what must stay.
    """
    run_dir = Path(folder).expanduser().resolve()
    if not run_dir.is_dir():
        raise UserError(f"resume={folder} is no folder; name a run folder, e.g. outputs/digits/resnet20-scratch/...")
    if not (run_dir / "config.yaml").is_file() or not (run_dir / "last.pt").is_file():
        raise UserError(f"resume={folder} holds no run with a finished epoch (config.yaml and last.pt); start it anew")
    try:
        saved = yaml.safe_load((run_dir / "config.yaml").read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{run_dir / 'config.yaml'} is no readable YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(saved, dict):
        raise UserError(f"{run_dir / 'config.yaml'} holds no settings; the run cannot go on, start it anew")
    changes = _changes(words, CHANGES_ON_RESUME, "a resumed run", ignored=("resume",))
    return from_dict(_changed(saved | {"resume": str(run_dir)}, changes))


def config_of_checkpoint(saved: dict, node: DictConfig, words: Sequence[str]) -> Config:
    """The configuration `saved` in a checkpoint, with another data set or device when the words name one."""
    changes = _changes(words, CHANGES_ON_EVAL, "an evaluation", ignored=("mode", "checkpoint"))
    if any(key == "dataset.image_size_px" for key, _ in changes):
        raise UserError("an evaluation keeps the image size of its checkpoint; leave out dataset.image_size_px")
    values = saved | {"mode": "eval", "checkpoint": node.checkpoint, "resume": None}
    if any(key == "dataset" for key, _ in changes):
        size = saved["dataset"]["image_size_px"]
        values["dataset"] = OmegaConf.to_container(node.dataset, resolve=True)
        values["dataset"]["image_size_px"] = values["dataset"]["image_size_px"] or size
    return from_dict(_changed(values, [change for change in changes if change[0] != "dataset"]))


def _changes(
    words: Sequence[str], allowed: Sequence[str], what: str, ignored: Sequence[str]
) -> list[tuple[str, object]]:
    changes, problems = [], []
    for word in words:
        override = OverridesParser.create().parse_override(word)
        key = override.key_or_group
        if key in ignored or key.startswith("hydra"):
            continue
        if key not in allowed and key.split(".")[0] not in allowed:
            problems.append(f"{what} cannot change {key}; it may change {', '.join(allowed)}")
        changes.append((key, override.value()))
    if problems:
        raise UserError(*problems)
    return changes


def _changed(values: dict, changes: Sequence[tuple[str, object]]) -> dict:
    node = OmegaConf.create(values)
    for key, value in changes:
        OmegaConf.update(node, key, value)
    return OmegaConf.to_container(node, resolve=True)
