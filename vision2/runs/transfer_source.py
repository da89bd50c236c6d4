"""What a run transfers from: whether it is usable, where it comes from, and whether its image size fits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import Preprocessing
from vision2.basics.run_files import BEST, CONFIG
from vision2.data.settings import DatasetConfig
from vision2.runs.expected import unexpected_entry
from vision2.runs.records import RunRecord, look_up

LINEAGE_SHOWN = ("model", "dataset", "strategy", "seed")
LARGE_RATIO = 1.5  # a larger ratio of image sizes is worth a warning


def source_checkpoint(folder: str) -> Path:
    """The best checkpoint of the run that `strategy.source` names.

    Raises:
        UserError: if there is no such run, it failed, or it has no checkpoint.
    """
    run_dir = Path(folder).expanduser()
    run_dir = run_dir.parent if run_dir.name == BEST else run_dir
    summary = _summary(run_dir)
    if summary is not None and summary.get("status") == "failed":
        raise UserError(
            f"strategy.source={folder} is a run that failed ({str(summary.get('error'))[:120]}); give a completed run"
        )
    if fault := look_up(summary, "config.fault"):
        raise UserError(f"strategy.source={folder} is a run with fault={fault}, wrong by design; give a correct run")
    if not (run_dir / BEST).is_file():
        running = (run_dir / CONFIG).is_file()
        why = "has no finished epoch yet" if running else "is not a run folder"
        raise UserError(
            f"strategy.source={folder} {why} (no {BEST}); give the folder of a completed run, such as"
            " outputs/cats_vs_dogs/resnet18-scratch/..."
        )
    return run_dir / BEST


def lineage(weights_file: Path | None, weights: dict | None) -> list[dict]:
    """Where the weights come from, most recent first, back to published weights or random initial weights.

    Args:
        weights_file: the loaded file; a run of ours if a summary is next to it.
        weights: the loading report, {"source", "sha256"}.
    """
    if weights_file is None or weights is None:
        return []
    origin = {"source": weights["source"], "sha256": weights["sha256"]}
    summary = _summary(weights_file.parent) if weights_file.suffix == ".pt" else None
    earlier = (summary or {}).get("lineage") or []
    if summary is None or "config" not in summary:
        return [{"run": None, "weights": origin}]
    entry = {
        "run": str(weights_file.parent.resolve()),
        **{section: look_up(summary, f"config.{section}.name") for section in ("dataset", "model", "strategy")},
        "seed": look_up(summary, "config.seed"),
        "test_accuracy": look_up(summary, "metrics.test.accuracy"),
        "weights": origin,
    }
    return [entry, *([] if unexpected_entry({"lineage": earlier}) else earlier)]


def trained_on(run_dir: Path, dataset: DatasetConfig) -> frozenset[str]:
    """Ids of the images that the run in `run_dir` was trained on, if they come from the same place as `dataset`; else none."""
    try:
        config = yaml.safe_load((run_dir / CONFIG).read_text(encoding="utf-8"))["dataset"]
        split = RunRecord(run_dir).split()["splits"]["train"]["ids"]
        same = _place(config["name"], config["root"], config["source"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return frozenset()
    return frozenset(split) if same == _place(dataset.name, dataset.root, dataset.source) else frozenset()


def _place(name: str, root: str | None, source: str | None) -> tuple:
    return name, Path(root).expanduser().resolve() if root else None, source


def describe_lineage(steps: Sequence[dict]) -> str:
    """`lineage: resnet18 on cats_vs_dogs (scratch, seed 0) <- ...`, for the terminal."""
    return "lineage: " + " <- ".join(map(_step_in_words, steps))


def _step_in_words(step: dict) -> str:
    if not step["run"]:
        return str(look_up(step, "weights.source"))
    model, data, strategy, seed = ("?" if step.get(key) is None else step[key] for key in LINEAGE_SHOWN)
    return f"{model} on {data} ({strategy}, seed {seed})"


def scale_warning(source: Preprocessing, image_size_px: int, own_size_px: int | None) -> str | None:
    """A warning if images are much larger or smaller than those the weights were trained on, else None.

    Args:
        own_size_px: side of the stored images, if all have the same: enlarging adds no detail.
    """
    shown = image_size_px / source.image_size_px
    if not 1 / LARGE_RATIO <= shown <= LARGE_RATIO:
        return (
            f"warning: images are {image_size_px} px, {shown:.2g} times the {source.image_size_px} px that the weights were"
            " trained at, so the filters are tuned to another scale; compare with"
            f" dataset.image_size_px={source.image_size_px}, or train more layers"
        )
    detail = own_size_px / source.image_size_px if own_size_px else 1.0
    if detail < 1 / LARGE_RATIO:
        return (
            f"warning: images of {own_size_px} px are enlarged to {image_size_px} px, with {detail:.2g} times the detail of"
            f" the {source.image_size_px} px images the weights were trained on; early filters see smoother edges than in those"
        )
    return None


def preprocessing_note(source: Preprocessing, usual: Preprocessing) -> str | None:
    """A note if the preprocessing of the source, which is adopted, differs from the model's usual one, else None."""
    different = [
        f"{name} {_short(getattr(source, name))} (usual: {_short(getattr(usual, name))})"
        for name in ("mean", "std", "interpolation", "resize")
        if getattr(source, name) != getattr(usual, name)
    ]
    return f"using the preprocessing of the source: {', '.join(different)}" if different else None


def _short(value: object) -> str:
    return f"[{', '.join(f'{v:.3f}' for v in value)}]" if isinstance(value, tuple) else str(value)


def _summary(run_dir: Path) -> dict | None:
    try:
        found = RunRecord(run_dir).summary()
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
