"""`dataset.resize` is saved in the checkpoint and used in evaluation, prediction and export."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from vision2.config.compose import load_config
from vision2.export import metadata_of
from vision2.inference.load_network import trained_of_checkpoint
from vision2.jobs.evaluate import evaluate
from vision2.predict import main as predict
from vision2.training.checkpoint import load_checkpoint

COLOURS = {"blue": (0, 0, 255), "red": (255, 0, 0)}


@pytest.fixture
def wide(tmp_path):
    """Pictures of 4:1 whose colour is at the left edge, outside the centre crop."""
    stream = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / "wide" / name).mkdir(parents=True)
        for index in range(24):
            image = stream.integers(100, 156, (32, 128, 3), dtype=np.uint8)
            image[:, :24] = colour
            Image.fromarray(image).save(tmp_path / "wide" / name / f"{index}.png")
    return tmp_path / "wide"


def test_every_later_command_uses_the_resize_of_the_training(wide, tmp_path, vision2, capsys):
    words = ["model=resnet20", "dataset=folder", f"dataset.root={wide}", "dataset.image_size_px=32", "dataset.cache=memory"]
    done = vision2(
        "train", *words, "dataset.resize=squash", "train.epochs=8", "train.batch_size=8", "dataset.augment.crop=none",
        f"output_dir={tmp_path / 'out'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run_folder = next((tmp_path / "out" / "folder").rglob("best.pt")).parent
    summary = json.loads((run_folder / "summary.json").read_text())
    assert summary["metrics"]["test"]["accuracy"] == 1.0  # the edges are seen
    assert load_checkpoint(run_folder)["preprocessing"]["resize"] == "squash"

    assert predict([f"checkpoint={run_folder}", f"images={wide}", "format=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["preprocessing"]["resize"] == "squash"
    assert all(image["predictions"][0]["class"] == image["image"].split("/")[0] for image in found["images"])

    result = evaluate(load_config(["mode=eval", f"checkpoint={run_folder}", *words]))
    assert result["metrics"]["test"]["accuracy"] == 1.0

    metadata = metadata_of(trained_of_checkpoint(run_folder, torch.device("cpu")))
    assert metadata["preprocessing"]["resize"] == "squash"
    assert "resized to a square of image_size_px, ignoring the aspect ratio" in metadata["input"]
