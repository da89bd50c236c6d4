"""The most similar image of each image, in pixels: how often it has the same label, against chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from vision2.data.dataset import Split

COMPARED = 800  # images of a split
SIDE_PX = 8  # pictures are compared at this size
DEVIATIONS = 4.0  # above chance, in standard errors: by luck once in 30,000 check-ups
RENUMBERINGS = 50


@dataclass(frozen=True)
class Agreement:
    """`share` of the images whose most similar image, at the position `nearest`, has the same label."""

    share: float
    nearest: np.ndarray

    def above(self, chance: float) -> bool:
        error = (chance * (1 - chance) / max(1, len(self.nearest))) ** 0.5
        return self.share > chance + DEVIATIONS * error


def sample(split: Split) -> Split:
    """Up to `COMPARED` evenly spaced images."""
    return split.select(np.unique(np.linspace(0, len(split) - 1, min(len(split), COMPARED)).round().astype(int)))


def as_vectors(images) -> torch.Tensor:
    """(N, 3 * SIDE_PX ** 2) pixels of small copies of the images."""
    rows = []
    for index in range(len(images)):
        pixels = torch.from_numpy(np.array(images.read(index))).permute(2, 0, 1)[None].float()
        rows.append(torch.nn.functional.adaptive_avg_pool2d(pixels, SIDE_PX).flatten())
    return torch.stack(rows)


def agreement(known: torch.Tensor, labels: np.ndarray, asked: torch.Tensor | None = None) -> Agreement:
    """For each of `asked`, the most similar of `known`; without `asked`, for each of `known` the most similar other one.

    Copies of an image (distance 0) do not count as another one. `share` is 0 if there is something asked: its labels are
    not known here.
    """
    # the faster way through matrix products finds a distance of about 1 between equal images
    distances = torch.cdist(known if asked is None else asked, known, compute_mode="donot_use_mm_for_euclid_dist")
    if asked is None:
        distances[distances < 1e-3] = torch.inf  # also the image itself
    nearest = distances.argmin(1).numpy()
    return Agreement(float((labels[nearest] == labels).mean()) if asked is None else 0.0, nearest)


def share_by_chance(labels: np.ndarray) -> float:
    """The share of pairs with the same label."""
    counts = np.bincount(labels)
    return float(((counts / counts.sum()) ** 2).sum())


def best_renaming(found: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """The largest agreement after renumbering the classes one to one (Kuhn 1955)."""
    table = np.zeros((num_classes, num_classes))
    np.add.at(table, (found, labels), 1)
    return float(table[linear_sum_assignment(-table)].sum() / len(labels))


def renamed_by_chance(found: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """The largest `best_renaming` among shuffled labels: what fitting the numbers to noise can reach."""
    stream = np.random.default_rng(0)
    return max(best_renaming(found, stream.permutation(labels), num_classes) for _ in range(RENUMBERINGS))
