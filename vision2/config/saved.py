"""Read configurations saved in a run folder or a checkpoint as plain values; only listed settings may be changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf

from vision2.basics.errors import UserError
from vision2.basics.run_files import CONFIG, LAST, SUMMARY
from vision2.config.compose import from_dict, refuse_interpolations
from vision2.config.overrides import parse
from vision2.config.schema import Config

# What may change when a run is resumed: its length, device and places, but nothing that shaped its first epochs.
CHANGES_ON_RESUME = (
    "train.epochs", "train.schedule_epochs", "train.patience", "device", "dataset.root", "dataset.cache_dir", "dataset.workers",
)  # fmt: skip
CHANGES_ON_EVAL = ("dataset", "episodes", "device", "train.batch_size", "seed")


def config_of_run(folder: str, overrides: Sequence[str]) -> Config:
    """The configuration of the run in `folder`, with the changes that a resumed run may have.

    Raises:
        UserError: if the folder holds no run that can be resumed, or an override changes a setting that must stay.
    """
    run_dir = Path(folder).expanduser().resolve()
    file = run_dir / CONFIG
    if not run_dir.is_dir():
        raise UserError(f"resume={folder} is not a folder; give a run folder, e.g. outputs/digits/resnet20-scratch/...")
    if not file.is_file():
        raise UserError(f"resume={folder} is not a run folder (no config.yaml); give a run folder, or start a new run")
    if not (run_dir / LAST).is_file() and _is_completed(run_dir):
        raise UserError(f"resume={folder} is a completed run whose {LAST} is missing; start a new run (this result is kept)")
    try:
        saved = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{file} cannot be read ({str(error).splitlines()[0]}); correct it or start a new run") from error
    if not isinstance(saved, dict):
        raise UserError(f"{file} contains no settings, so the run cannot be resumed; start a new run")
    changes = _changes(overrides, CHANGES_ON_RESUME, "a resumed run", ignored=("resume",))
    return _changed(saved | {"resume": str(run_dir)}, changes)


def _is_completed(run_dir: Path) -> bool:
    """Whether there is a result to keep; a run that finished no epoch has none and may start again."""
    with suppress(OSError, ValueError, AttributeError):
        return json.loads((run_dir / SUMMARY).read_text(encoding="utf-8")).get("status") == "completed"
    return False


def changes_on_eval(overrides: Sequence[str]) -> dict[str, object]:
    """What an evaluation changes in the configuration of its checkpoint.

    Raises:
        UserError: for a setting that an evaluation cannot change.
    """
    changes = _changes(overrides, CHANGES_ON_EVAL, "an evaluation", ignored=("mode", "checkpoint"))
    kept = [key for key in ("dataset.image_size_px", "dataset.resize") if key in changes]
    if kept:
        raise UserError(*(f"an evaluation keeps the preprocessing of its checkpoint; leave out {key}" for key in kept))
    return changes


def config_of_checkpoint(saved: dict, node: DictConfig, overrides: Sequence[str]) -> Config:
    """The configuration `saved` in a checkpoint, with another data set or device if an override names one."""
    changes = changes_on_eval(overrides)
    # The device it was trained on may not exist here.
    values = saved | {"mode": "eval", "checkpoint": node.checkpoint, "resume": None, "device": "auto"}
    if changes.pop("dataset", None):
        chosen = OmegaConf.to_container(node.dataset, resolve=True)
        size = chosen["image_size_px"] or OmegaConf.select(OmegaConf.create(saved), "dataset.image_size_px")
        values["dataset"] = chosen | {"image_size_px": size}
    return _changed(values, changes)


def _changes(overrides: Sequence[str], allowed: Sequence[str], what: str, ignored: Sequence[str]) -> dict[str, object]:
    parsed = [parse(override) for override in overrides]
    changes = {o.key_or_group: o.value() for o in parsed if not (o.key_or_group in ignored or o.is_hydra_override())}
    wrong = [key for key in changes if key not in allowed and key.split(".")[0] not in allowed]
    if wrong:
        raise UserError(*(f"{what} cannot change {key}; it may only change {', '.join(allowed)}" for key in wrong))
    return changes


def _changed(values: dict, changes: dict[str, object]) -> Config:
    refuse_interpolations(values)
    node = OmegaConf.create(values)
    for key, value in changes.items():
        OmegaConf.update(node, key, value)
    return from_dict(OmegaConf.to_container(node, resolve=True))
