"""Convert normalised tensors back to pictures, and write PNG files. Only functions that take tensors import torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.atomic_write import replacing
from vision2.basics.preprocessing import Preprocessing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor


CELL_WIDTH, CELL_HEIGHT, GAP = 1.7, 2.1, 0.06  # inches, for a picture with its caption
GRID_DPI = 110
PNG_LEVEL = 3  # of 9; the default of 6 takes three times as long for photographs and makes files 10 % smaller
CELL_PX = (187, 231)  # width and height of a cell in pixels, where report pages cut a grid


def collect_images(batches, wanted: Sequence[int]) -> Tensor:
    """The normalised images (N, 3, H, W) of the samples `wanted`, in that order and on the CPU.

    Raises:
        ValueError: if a sample is not in `batches`.
    """
    import torch

    found: dict[int, Tensor] = {}
    missing = {int(index) for index in wanted}
    for batch in batches.epoch(0) if missing else ():
        for position, index in enumerate(torch.as_tensor(batch.indices).tolist()):
            if index in missing:
                found[index] = batch.images[position].detach().float().cpu()
                missing.remove(index)
        if not missing:
            break
    if missing:
        raise ValueError(f"samples {sorted(missing)[:3]} are not in these batches")
    return torch.stack([found[int(index)] for index in wanted]) if found else torch.zeros(0, 3, 1, 1)


def as_pictures(images: Tensor, preprocessing: Preprocessing) -> np.ndarray:
    """Convert normalised images (N, 3, H, W) to pictures (N, H, W, 3) uint8."""
    import torch

    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    return ((images.float().cpu() * std + mean).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def overlay(picture: np.ndarray, heat: np.ndarray, strength: float = 0.5) -> np.ndarray:
    """Overlay a heat map (H, W) in [0, 1] in colour on a picture (H, W, 3) uint8; low values are transparent."""
    from matplotlib import colormaps

    colour = colormaps["jet"](heat)[..., :3] * 255
    share = strength * np.clip(heat * 2, 0, 1)[..., None]
    return (picture * (1 - share) + colour * share).astype(np.uint8)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", pil_kwargs={"compress_level": PNG_LEVEL})


def figure_pixels(figure: Figure) -> np.ndarray:
    """A figure as (H, W, 3) uint8, drawn without pyplot, which would keep it in a global list."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write a picture (H, W, 3) uint8 as PNG, atomically."""
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def captioned_grid(pictures: Sequence[np.ndarray], captions: Sequence[str], columns: int = 6) -> Figure:
    """Pictures of equal size in rows, with a short caption (one or two lines) above each.

    All share one Axes: separate ones take several times as long to lay out and draw.
    """
    from matplotlib.figure import Figure

    from vision2.pictures.plots import figure_text

    columns = max(1, min(columns, len(pictures)))
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(CELL_WIDTH * columns, CELL_HEIGHT * rows), dpi=GRID_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for index, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, bottom = CELL_WIDTH * (index % columns), CELL_HEIGHT * (rows - 1 - index // columns)
        place = (left + GAP, left + CELL_WIDTH - GAP, bottom + GAP, bottom + CELL_WIDTH - GAP)
        axes.imshow(picture, extent=place, interpolation="nearest" if picture.shape[0] <= 64 else None)
        axes.text(left + CELL_WIDTH / 2, bottom + CELL_WIDTH, figure_text(caption), fontsize=7.5, ha="center", va="bottom")
    axes.set(xlim=(0, CELL_WIDTH * columns), ylim=(0, CELL_HEIGHT * rows), aspect="auto")
    return figure
