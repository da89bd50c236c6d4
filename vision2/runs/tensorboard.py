"""TensorBoard events of one run, named alike in every run so that runs overlay on one chart."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from vision2.basics.preprocessing import Preprocessing
from vision2.runs.records import plain

SCALARS = {
    "train_loss": "loss/train",
    "val_loss": "loss/val",
    "train_accuracy": "accuracy/train",
    "val_accuracy": "accuracy/val",
    "val_balanced_accuracy": "quality/val_balanced_accuracy",
    "val_macro_f1": "quality/val_macro_f1",
    "lr": "lr",
    "images_per_second": "speed/images_per_second",
    "data_wait_share": "speed/data_wait_share",
    "seconds": "speed/seconds",
}
LAYOUT = {
    "train and validation": {
        "loss": ["Multiline", ["loss/train", "loss/val"]],
        "accuracy": ["Multiline", ["accuracy/train", "accuracy/val"]],
    }
}
# One list for every run: TensorBoard's table needs the same keys everywhere, and 90 columns would not be read.
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
IMAGES_AT_MOST = 16
EMBEDDINGS_AT_MOST = 2000
PR_CURVES_AT_MOST = 20


class TensorBoardTracker:
    """Writes into the run folder itself, never into a sub-run of its own.

    Args:
        resume_step: the last step (epoch) that stays; what was written after it is hidden by TensorBoard.
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
        """The scalars of one epoch record (see `SCALARS`), and on disk before it returns.

        `gradient_norms` (of each parameter, by stage from input to output) become one histogram a stage, of log10.
        """
        for key, tag in SCALARS.items():
            if record.get(key) is not None:
                self.writer.add_scalar(tag, record[key], record["epoch"])
        for stage, norm in (record.get("gradient_norms") or {}).items():
            self.writer.add_scalar(f"gradient_norm/{stage}", norm, record["epoch"])
        for depth, (stage, norms) in enumerate((gradient_norms or {}).items(), start=1):
            self.log_histogram(
                f"gradient_norms/{depth:02}_{stage}", np.log10(np.maximum(norms, 1e-12)), record["epoch"]
            )
        self.writer.flush()

    def log_text(self, tag: str, values: dict) -> None:
        """Nested values as YAML; an indented block is verbatim in TensorBoard's Markdown."""
        text = yaml.safe_dump(plain(values), sort_keys=False, allow_unicode=True)
        self.writer.add_text(tag, "\n".join("    " + line for line in text.splitlines()), 0)

    def log_hparams(self, config: dict, metrics: dict) -> None:
        """The run's row of the HPARAMS table: keys `HPARAMS`, results `HPARAM_METRICS` of the summary's metrics.

        `add_hparams` would open a second, stray run, so its protocol buffers are written here. The first of them, which
        declares an experiment, is left out: TensorBoard then reads the values of all runs, puts those that differ first
        and offers them as filters, where a declaration by one run would stand for all.
        """
        values = {key: _hparam(_look_up(config, key)) for key in HPARAMS}
        tags = {f"hparam/{key.replace('.', '_')}": _look_up(metrics, key) for key in HPARAM_METRICS}
        _, start, end = hparams(values, {})
        self.writer.file_writer.add_summary(start)
        self.writer.file_writer.add_summary(end)
        for tag, value in tags.items():
            self.writer.add_scalar(tag, float("nan") if value is None else value, 0)
        self.writer.flush()

    def log_images(self, tag: str, images: torch.Tensor, preprocessing: Preprocessing, step: int = 0) -> None:
        """A grid of up to 16 normalised images (N, 3, H, W), with the normalisation taken back."""
        images = images[:IMAGES_AT_MOST].detach().float().cpu()
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
        # its own grid: torchvision's would make every run wait seconds for that import
        self.writer.add_images(tag, (images * std + mean).clamp(0, 1), step)

    def log_picture(self, tag: str, picture: np.ndarray, step: int) -> None:
        """(H, W, 3) uint8."""
        self.writer.add_image(tag, picture, step, dataformats="HWC")

    def log_png(self, tag: str, path: Path, step: int = 0) -> None:
        from PIL import Image

        with Image.open(path) as picture:
            self.log_picture(tag, np.asarray(picture.convert("RGB")).copy(), step)

    def log_figure(self, tag: str, figure: Any, step: int) -> None:
        """A matplotlib figure, drawn without pyplot so that no window system or global figure list is touched."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        self.log_picture(tag, np.asarray(canvas.buffer_rgba())[..., :3].copy(), step)

    def log_confusion(
        self, tag: str, confusion: Sequence[Sequence[int]], classes: Sequence[str], step: int = 0
    ) -> None:
        from vision2.pictures.confusion import confusion_figure

        self.log_figure(tag, confusion_figure(confusion, classes), step)

    def log_histogram(self, tag: str, values: torch.Tensor | np.ndarray | Sequence[float], step: int) -> None:
        """Non-finite values are left out: TensorBoard refuses them, and a diagnostic must not stop a run."""
        values = (
            torch.as_tensor(np.asarray(values) if not isinstance(values, torch.Tensor) else values).detach().float()
        )
        values = values[torch.isfinite(values)]
        if values.numel():
            self.writer.add_histogram(tag, values.cpu(), step)

    def log_embedding(
        self,
        features: torch.Tensor,
        labels: Sequence[str],
        *,
        thumbnails: torch.Tensor | None = None,
        step: int = 0,
        tag: str = "features",
    ) -> None:
        """Features (N, D) with their class names and thumbnails (N, 3, h, w) in [0, 1]; the first 2,000 are kept."""
        keep = slice(0, EMBEDDINGS_AT_MOST)
        # of the run before it was resumed; TensorBoard would keep it and complain
        shutil.rmtree(Path(self.writer.log_dir) / f"{step:05}" / tag, ignore_errors=True)
        pictures = None if thumbnails is None else thumbnails[keep].float().cpu()
        self.writer.add_embedding(
            features[keep].float().cpu(), metadata=list(labels[keep]), label_img=pictures, global_step=step, tag=tag
        )

    def log_pr_curves(self, probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str], step: int) -> None:
        """One-against-rest precision and recall of each class; of the first 20 when there are more."""
        for index, name in list(enumerate(classes))[:PR_CURVES_AT_MOST]:
            self.writer.add_pr_curve(f"pr/{name}", labels == index, probabilities[:, index], step)


def _look_up(values: dict, key: str) -> Any:
    found: Any = values
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _hparam(value: Any) -> float | str | bool:
    # A key left out of one run would be a hole in the table, so "not set" is a value of its own.
    return value if isinstance(value, bool | int | float | str) else "-" if value is None else str(value)
