from __future__ import annotations

import numpy as np

from vision2.data.files.listing import FileEntry
from vision2.inference.prediction_files import folders
from vision2.inference.predictor import Predictions


def test_the_images_of_a_folder_are_counted_by_predicted_class():
    entries = [FileEntry(None, name) for name in ("cat/1.png", "cat/2.png", "x/1.png")]
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], np.float32)
    found = folders(Predictions(("Cat", "dog"), entries, probabilities))
    assert found == [
        {"folder": "cat", "n": 2, "predicted": {"Cat": 1, "dog": 1}, "right": 1},
        {"folder": "x", "n": 1, "predicted": {"dog": 1}, "right": None},
    ]
