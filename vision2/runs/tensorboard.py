"""TensorBoard events of one run; all runs use the same names, so that they can be overlaid in one chart."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from vision2.runs.records import look_up, plain

SCALARS = {
    "train_loss": "loss/train",
    "val_loss": "loss/val",
    "train_accuracy": "accuracy/train",
    "val_accuracy": "accuracy/val",
    "val_balanced_accuracy": "quality/val_balanced_accuracy",
    "val_macro_f1": "quality/val_macro_f1",
    "lr": "lr",
    "images_per_second": "speed/images_per_second",
    "features_per_second": "speed/features_per_second",
    "data_wait_share": "speed/data_wait_share",
    "seconds": "speed/seconds",
}
LAYOUT = {
    "train and validation": {
        "loss": ["Multiline", ["loss/train", "loss/val"]],
        "accuracy": ["Multiline", ["accuracy/train", "accuracy/val"]],
    }
}
# The same list for every run: TensorBoard's table needs the same keys in each, and nobody reads 90 columns.
HPARAMS = (
    "model.name", "model.stem", "model.shortcut", "model.aux", "dataset.name", "dataset.image_size_px",
    "dataset.fraction", "dataset.shots_per_class", "dataset.imbalance", "dataset.label_noise", "strategy.name",
    "strategy.optimizer", "strategy.lr", "strategy.weight_decay", "strategy.backbone_lr_scale",
    "strategy.unfreeze_from", "strategy.layer", "strategy.classifier", "train.epochs", "train.batch_size",
    "train.schedule", "train.label_smoothing", "train.precision", "seed",
)  # fmt: skip
HPARAM_METRICS = (
    "test.accuracy", "test.balanced_accuracy", "test.macro_f1", "test.loss", "val.accuracy", "train.accuracy",
)  # fmt: skip
EMBEDDINGS_AT_MOST = 2000
PR_CURVES_AT_MOST = 20


class TensorBoardTracker:
    """Writes events into the run folder itself, never into a sub-run.

    Args:
        resume_step: the last step (epoch) to keep; TensorBoard hides later events.
    """

    def __init__(self, run_dir: str | Path, resume_step: int | None = None):
        purge = None if resume_step is None else resume_step + 1
        self.writer = SummaryWriter(str(run_dir), purge_step=purge)
        if resume_step is None:
            self.writer.add_custom_scalars(LAYOUT)

    def __enter__(self) -> TensorBoardTracker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.writer.close()

    def log_epoch(self, record: Mapping[str, Any], gradient_norms: Mapping[str, Sequence[float]] | None = None) -> None:
        """Write the scalars of one epoch record (see `SCALARS`) and flush them to disk.

        `gradient_norms` (one per parameter, by stage from input to output) become one histogram of log10 per stage.
        """
        for key, tag in SCALARS.items():
            if record.get(key) is not None:
                self.writer.add_scalar(tag, record[key], record["epoch"])
        for stage, norm in (record.get("gradient_norms") or {}).items():
            self.writer.add_scalar(f"gradient_norm/{stage}", norm, record["epoch"])
        for depth, (stage, norms) in enumerate((gradient_norms or {}).items(), start=1):
            self._log_histogram(f"gradient_norms/{depth:02}_{stage}", np.log10(np.maximum(norms, 1e-12)), record["epoch"])
        self.writer.flush()

    def _log_histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """Write the finite values: TensorBoard rejects NaN and infinities, and a diagnostic must not stop a run."""
        values = values[np.isfinite(values)]
        if values.size:
            self.writer.add_histogram(tag, values, step)

    def log_text(self, tag: str, values: dict) -> None:
        """Write nested values as YAML, indented so that TensorBoard's Markdown shows them verbatim."""
        text = yaml.safe_dump(plain(values), sort_keys=False, allow_unicode=True)
        self.writer.add_text(tag, "\n".join("    " + line for line in text.splitlines()), 0)

    def log_hparams(self, config: dict, metrics: dict) -> None:
        """Write the run's row of the HPARAMS table: the settings `HPARAMS` and the metrics `HPARAM_METRICS`.

        `add_hparams` would create a second, stray run, so its protocol buffers are written here. The first of them, which
        declares an experiment, is left out: TensorBoard then reads the values of all runs, lists those that differ first
        and offers them as filters, whereas one run's declaration would apply to all.
        """
        values = {key: _hparam(look_up(config, key)) for key in HPARAMS}
        tags = {f"hparam/{key.replace('.', '_')}": look_up(metrics, key) for key in HPARAM_METRICS}
        _, start, end = hparams(values, {})
        self.writer.file_writer.add_summary(start)
        self.writer.file_writer.add_summary(end)
        for tag, value in tags.items():
            self.writer.add_scalar(tag, float("nan") if value is None else value, 0)
        self.writer.flush()

    def log_pictures(self, tag: str, pictures: np.ndarray) -> None:
        """Write a grid of pictures (N, H, W, 3) uint8."""
        # TensorBoard makes the grid: importing torchvision for it would delay every run by seconds
        self.writer.add_images(tag, pictures, 0, dataformats="NHWC")

    def log_picture(self, tag: str, picture: np.ndarray) -> None:
        """Write one picture (H, W, 3) uint8."""
        self.writer.add_image(tag, picture, 0, dataformats="HWC")

    def log_png(self, tag: str, path: Path) -> None:
        """Write a PNG file as it is: `add_image` would compress its pixels again."""
        with Image.open(path) as picture:
            (width, height), channels = picture.size, len(picture.getbands())
        image = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=path.read_bytes())
        self.writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), 0)

    def log_embedding(
        self,
        features: torch.Tensor,
        labels: Sequence[str],
        thumbnails: torch.Tensor | None = None,
        *,
        tag: str = "features",
    ) -> None:
        """Write the first 2,000 features (N, D) with their class names and thumbnails (N, 3, h, w) in [0, 1]."""
        keep = slice(0, EMBEDDINGS_AT_MOST)
        # left by the run before it was resumed; TensorBoard would keep it and print a warning
        shutil.rmtree(Path(self.writer.log_dir) / "00000" / tag, ignore_errors=True)
        pictures = None if thumbnails is None else thumbnails[keep].float().cpu()
        kept = features[keep].float().cpu()
        self.writer.add_embedding(kept, metadata=list(labels[keep]), label_img=pictures, global_step=0, tag=tag)

    def log_pr_curves(self, probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> None:
        """Write one-vs-rest precision-recall curves of the first 20 classes."""
        for index, name in list(enumerate(classes))[:PR_CURVES_AT_MOST]:
            self.writer.add_pr_curve(f"pr/{name}", labels == index, probabilities[:, index], 0)


def _hparam(value: Any) -> float | str | bool:
    # A key missing from one run would leave a gap in the table, so "not set" is shown as "-".
    return value if isinstance(value, bool | int | float | str) else "-" if value is None else str(value)
