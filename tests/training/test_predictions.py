"""Predictions on a split, and the refusal of outputs that are NaN or infinite."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from vision2.basics.errors import TrainingDiverged
from vision2.models.network import Output
from vision2.training.predictions import predict


class Constant(torch.nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, images):
        return Output(self.logits.expand(len(images), -1), {})


def batches():
    """Two batches whose images are not in the order of the split."""
    parts = [SimpleNamespace(images=torch.zeros(2, 3, 4, 4), labels=torch.tensor([5, 4]), indices=torch.tensor([1, 0]))]
    parts.append(SimpleNamespace(images=torch.zeros(1, 3, 4, 4), labels=torch.tensor([6]), indices=torch.tensor([2])))
    return SimpleNamespace(epoch=lambda *_: iter(parts))


def test_predictions_are_softmax_in_the_order_of_the_split():
    found = predict(Constant([0.0, 0.0]), batches())
    assert found.labels.tolist() == [4, 5, 6]
    assert found.probabilities.tolist() == [[0.5, 0.5]] * 3


@pytest.mark.parametrize("logits", [[0.0, float("nan")], [float("inf"), 0.0]])
def test_outputs_that_are_nan_or_infinite_are_refused(logits):
    with pytest.raises(TrainingDiverged, match=r"NaN or infinite.*strategy\.lr"):
        predict(Constant(logits), batches())
