"""The images a network misclassified, most confident first: label errors, look-alikes and blind spots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vision2.basics.atomic_write import write_json
from vision2.basics.preprocessing import Preprocessing
from vision2.basics.safe_text import printable
from vision2.basics.written import WrittenFiles
from vision2.pictures.images import as_pictures, captioned_grid, collect_images, save_figure

MISTAKES_SHOWN = 12
MISTAKES_FILE = "mistakes.json"


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction. `kind` is "confident" (highest probability of a wrong class) or "worst" (highest loss)."""

    kind: str
    index: int
    id: str
    truth: str
    predicted: str
    confidence: float  # probability of the predicted class
    true_probability: float

    def caption(self) -> str:
        names = f"{_short(self.truth)} → {_short(self.predicted)}"
        return f"{names}\n{100 * self.confidence:.0f} % / {100 * self.true_probability:.2g} %"


def find_mistakes(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    ids: Sequence[str],
    count: int = MISTAKES_SHOWN,
) -> list[Mistake]:
    """The `count` most confident mistakes, then the `count` with the highest loss among the others.

    The two can differ if there are more than two classes: an unsure network may still rule out the true class.
    """
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != labels)
    confidence = probabilities[wrong, predicted[wrong]]
    true_probability = probabilities[wrong, labels[wrong]]
    surest = wrong[np.argsort(-confidence, kind="stable")][:count]
    others = np.argsort(true_probability, kind="stable")
    worst = [index for index in wrong[others] if index not in set(surest.tolist())][:count]
    return [
        Mistake(
            kind,
            int(index),
            str(ids[index]),
            truth=str(classes[labels[index]]),
            predicted=str(classes[predicted[index]]),
            confidence=float(probabilities[index, predicted[index]]),
            true_probability=float(probabilities[index, labels[index]]),
        )
        for kind, indices in (("confident", surest), ("worst", worst))
        for index in indices
    ]


def save_mistakes(
    files: WrittenFiles, mistakes: Sequence[Mistake], *, batches, preprocessing: Preprocessing
) -> dict[str, Path]:
    """Write mistakes.json and a picture for each kind; return the paths of the pictures by name."""
    write_json(files.path(MISTAKES_FILE), [asdict(mistake) for mistake in mistakes])
    images = as_pictures(collect_images(batches, [mistake.index for mistake in mistakes]), preprocessing)
    written = {}
    for kind in ("confident", "worst"):
        shown = [number for number, mistake in enumerate(mistakes) if mistake.kind == kind]
        if shown:
            name = f"mistakes_{kind}"
            written[name] = files.path(f"{name}.png")
            captions = [mistakes[number].caption() for number in shown]
            save_figure(captioned_grid([images[number] for number in shown], captions), written[name])
    return written


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= 12 else name[:11] + "…"
