from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vision2 import preview
from vision2.basics.written import LIST
from vision2.config.compose import load_config
from vision2.pictures.preview import COLUMNS, captions_of


def test_the_grid_shows_training_views_above_their_evaluation_views():
    config = load_config(["model=resnet20", "dataset=digits", "dataset.augment.crop=none", "train.batch_size=5"])
    pictures, captions = preview.draw(config, "train", 10)
    assert len(pictures) == len(captions) == 4 * COLUMNS
    assert pictures[0].shape == (32, 32, 3)
    for start in (0, 16):  # without augmentation both views are the picture itself
        np.testing.assert_array_equal(pictures[start : start + 8], pictures[start + 8 : start + 16])
    assert captions[8] == f"{captions[0]} (evaluation)"
    assert captions[18:24] == [""] * 6


def test_a_split_without_augmentation_is_shown_once_and_in_order():
    config = load_config(["model=resnet20", "dataset=digits"])
    pictures, captions = preview.draw(config, "val", 8)
    assert len(pictures) == len(captions) == 8


def test_mixed_targets_are_captioned_as_shares():
    targets = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
    assert captions_of(targets, ["cat", "dog", "cow"]) == ["75% dog + 25% cat", "100% cow"]


def test_the_command_writes_one_picture(tmp_path, capsys):
    out = tmp_path / "grid.png"
    assert preview.main(["model=resnet20", "dataset=digits", "split=test", "count=3", f"out={out}"]) == 0
    assert Image.open(out).size[0] > 300
    assert "3 images of the test split of digits as resnet20 sees them" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == [LIST, "grid.png"]
    (tmp_path / "mine.png").write_text("mine")
    assert preview.main(["model=resnet20", "dataset=digits", f"out={tmp_path / 'mine.png'}"]) == 2
    assert (tmp_path / "mine.png").read_text() == "mine"


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("split=tests", "unknown split 'tests', did you mean 'test'?"),
        ("count=0", "count is 0; it must be between 1 and 256"),
        ("out=grid.jpg", "it must end in .png"),
        ("out=nowhere/grid.png", "there is no folder {folder}; create it or change out"),
    ],
)
def test_a_mistake_is_refused_in_one_sentence(word, sentence, capsys):
    assert preview.main(["model=resnet20", "dataset=digits", word]) == 2
    errors = capsys.readouterr().err
    assert sentence.replace("{folder}", str(Path("nowhere").absolute())) in errors
    assert len(errors.splitlines()) == 1
