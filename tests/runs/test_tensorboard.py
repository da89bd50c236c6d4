import io

import numpy as np
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vision2.runs.tensorboard import HPARAM_METRICS, HPARAMS, TensorBoardTracker

EPOCH = {
    "train_loss": 1.0,
    "val_loss": 2.0,
    "train_accuracy": 0.5,
    "val_accuracy": 0.4,
    "lr": 0.1,
    "images_per_second": 9.0,
}


def events(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0, "histograms": 0})
    accumulator.Reload()
    return accumulator


def test_train_and_validation_share_a_chart_and_events_are_in_the_run_folder_itself(tmp_path):
    with TensorBoardTracker(tmp_path) as tracker:
        tracker.log_epoch(EPOCH | {"epoch": 1})
    found = events(tmp_path)
    assert {"loss/train", "loss/val", "accuracy/train", "accuracy/val", "lr", "speed/images_per_second"} <= set(
        found.Tags()["scalars"]
    )
    assert "custom_scalars__config__" in found.Tags()["tensors"]
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_gradient_norms_are_histograms_of_their_logarithm_named_by_depth(tmp_path):
    with TensorBoardTracker(tmp_path) as tracker:
        tracker.log_epoch(EPOCH | {"epoch": 1}, {"stem": [0.01, 0.1], "layer1": [1.0, 0.0]})
    found = events(tmp_path)
    assert found.Tags()["histograms"] == ["gradient_norms/01_stem", "gradient_norms/02_layer1"]
    stem = found.Histograms("gradient_norms/01_stem")[0].histogram_value
    assert (stem.num, round(stem.min), round(stem.max)) == (2, -2, -1)


def test_a_resumed_run_has_one_value_per_epoch(tmp_path):
    with TensorBoardTracker(tmp_path) as tracker:
        for epoch in (1, 2, 3):
            tracker.log_epoch(EPOCH | {"epoch": epoch, "train_loss": 10.0 * epoch})
    (first,) = tmp_path.glob("events.out.tfevents.*")  # within one second, names end in a counter that sorts 10 before 9
    first.rename(first.with_name("events.out.tfevents.1000000000.host.1.0"))
    with TensorBoardTracker(tmp_path, resume_step=1) as tracker:
        for epoch in (2, 3):
            tracker.log_epoch(EPOCH | {"epoch": epoch, "train_loss": float(epoch)})
    values = [(event.step, event.value) for event in events(tmp_path).Scalars("loss/train")]
    assert values == [(1, 10.0), (2, 2.0), (3, 3.0)]


def test_hparams_have_the_same_keys_in_every_run_and_create_no_second_run(tmp_path):
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    keys = []
    for name, config in (
        ("a", {"model": {"name": "resnet20", "stem": None}, "seed": 0}),
        ("b", {"model": {"name": "vgg16"}}),
    ):
        with TensorBoardTracker(tmp_path / name) as tracker:
            tracker.log_hparams(config, {"test": {"accuracy": 0.9}} if name == "a" else {})
        found = events(tmp_path / name)
        assert {f"hparam/{key.replace('.', '_')}" for key in HPARAM_METRICS} <= set(found.Tags()["scalars"])
        content = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        keys.append(set(HParamsPluginData.FromString(content).session_start_info.hparams))
        assert not [path for path in (tmp_path / name).iterdir() if path.is_dir()]
    assert keys == [set(HPARAMS)] * 2


def test_pictures_are_shown_unchanged(tmp_path):
    pictures = np.full((1, 8, 8, 3), (153, 0, 255), np.uint8)
    Image.fromarray(pictures[0]).save(tmp_path / "picture.png")
    with TensorBoardTracker(tmp_path) as tracker:
        tracker.log_pictures("batch", pictures)
        tracker.log_picture("array", pictures[0])
        tracker.log_png("file", tmp_path / "picture.png")
    for tag in ("batch", "array", "file"):
        shown = np.asarray(Image.open(io.BytesIO(events(tmp_path).Images(tag)[0].encoded_image_string)))
        assert shown[4, 4].tolist() == [153, 0, 255]


def test_histograms_curves_text_and_embeddings_can_be_written(tmp_path):
    norms = {"stem": [1.0, float("nan"), 2.0], "head": [float("nan")]}
    with TensorBoardTracker(tmp_path) as tracker:
        tracker.log_epoch(EPOCH | {"epoch": 1}, norms)
        tracker.log_pr_curves(np.full((4, 2), 0.5), np.array([0, 1, 0, 1]), ["cat", "dog"])
        tracker.log_embedding(torch.rand(9, 4), ["cat"] * 9, torch.rand(9, 3, 8, 8))
        tracker.log_text("configuration", {"model": {"name": "resnet20"}})
    tags = events(tmp_path).Tags()
    assert tags["histograms"] == ["gradient_norms/01_stem"]
    assert {"pr/cat", "pr/dog", "configuration/text_summary"} <= set(tags["tensors"])
    assert (tmp_path / "projector_config.pbtxt").exists()


def test_the_embedding_of_a_resumed_run_silently_replaces_the_earlier_one(tmp_path, capsys):
    for value in (0.0, 1.0):
        with TensorBoardTracker(tmp_path) as tracker:
            tracker.log_embedding(torch.full((2, 3), value), ["a", "b"])
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    (file,) = tmp_path.rglob("tensors.tsv")
    assert set(file.read_text().split()) == {"1.0"}
