"""What the seed changed between the runs of one configuration, which determines what an interval over seeds covers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import numpy as np

from vision2.basics.run_files import PREDICTIONS, SPLIT
from vision2.runs.read import Run

ORDER, IMAGES, SPLITS, UNKNOWN = "order", "images", "splits", "unknown"
WHAT_VARIES = {
    ORDER: "{count} seeds: initialisation, data order",
    IMAGES: "{count} seeds: initialisation, data order, training images",
    SPLITS: "{count} seeds: initialisation, data order, split (corrected)",
    UNKNOWN: "{count} seeds",
}
FINGERPRINT = re.compile(r'"fingerprint": "(\w+)"')
THINNED = {"dataset.fraction": 1.0, "dataset.eval_fraction": 1.0, "dataset.shots_per_class": None, "dataset.imbalance": 1.0}


@dataclass(frozen=True)
class SeedEffect:
    """What the seed changes (a key of `WHAT_VARIES`) and, if it changes the split, n_test / n_train for the interval."""

    what: str
    test_to_train: float = 0.0


def seed_effect(runs: Sequence[Run], split: str | None = "test") -> SeedEffect:
    """Determine what differs between these runs besides their seeds.

    Args:
        split: the split the values were measured on, "test" or "val"; None for training, which needs no correction.
    """
    if len(runs) < 2:
        return SeedEffect(UNKNOWN)
    fingerprints = [_fingerprint(run) for run in runs]
    if None in fingerprints:
        return SeedEffect(UNKNOWN)
    if len(set(fingerprints)) == 1:
        return SeedEffect(ORDER)
    tested = [_test_images(run) for run in runs]
    if None in tested:
        return SeedEffect(UNKNOWN)
    same = all(images == tested[0] for images in tested)
    if split is None or (same and split == "test"):
        return SeedEffect(IMAGES if same else SPLITS)
    return SeedEffect(SPLITS, _test_to_train(runs, tested, split))


def seed_effect_on_pairs(sides: Sequence[Sequence[Run]], metric: str) -> SeedEffect:
    """What differs between pairs of runs besides their seeds: of both sides, the effect that needs the larger correction."""
    one_per_seed = ([*{run.seed: run for run in side}.values()] for side in sides)
    return max((seed_effect(side, split_of(metric)) for side in one_per_seed), key=lambda effect: effect.test_to_train)


def split_of(metric: str) -> str | None:
    """The split a metric was measured on, by its dotted key: "test" or "val"; None for the training images and for facts."""
    return next((split for split in ("test", "val") if re.search(rf"\b{split}[._]", metric)), None)


def _test_to_train(runs: Sequence[Run], tested: Sequence[frozenset], split: str) -> float:
    """n_test / n_train, which represents a correlation of n_test / (n_test + n_train) between seeds in the formula.

    This holds if the network is trained on all images outside the test split. If dataset.fraction, shots_per_class or
    imbalance removes some, the correlation is estimated by the share of test images that two seeds have in common.
    """
    if split == "test" and any(run.get(key, default) != default for run in runs for key, default in THINNED.items()):
        shared = fmean(len(a & b) / max(1, min(len(a), len(b))) for a, b in pairwise(tested))
        return shared / (1 - shared) if shared < 1 else 0.0
    sizes = [(run.get(f"metrics.{split}.n"), _trained_on(run)) for run in runs]
    return fmean(n / trained for n, trained in sizes) if all(n and trained for n, trained in sizes) else 0.0


def _trained_on(run: Run) -> int:
    return sum((run.get("data.counts.train") or {}).values())


def _fingerprint(run: Run) -> str | None:
    """The fingerprint of the images and their splits. The file may list 60,000 names, so only its beginning is read."""
    try:
        with (run.path / SPLIT).open(encoding="utf-8") as stream:
            found = FINGERPRINT.search(stream.read(1000))
    except OSError:
        return None
    return found and found[1]


def _test_images(run: Run) -> frozenset | None:
    try:
        with np.load(run.path / PREDICTIONS, allow_pickle=False) as predictions:
            return frozenset(predictions["ids"].tolist())
    except (OSError, ValueError, KeyError):
        return None
