import json

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_network import PREPROCESSING, FakeBatches, TinyNetwork

from vision2.basics.written import LIST
from vision2.pictures.artifacts import explained_classes, write_artifacts
from vision2.pictures.dashboard import log_results
from vision2.pictures.filters import first_layer_filters, grid
from vision2.pictures.images import as_pictures, collect_images
from vision2.pictures.mistakes import MISTAKES_FILE, find_mistakes
from vision2.runs.tensorboard import TensorBoardTracker

CLASSES = ["cat", "dog", "eel"]


def mistakes_of(run_dir):
    return json.loads((run_dir / "artifacts" / MISTAKES_FILE).read_text())


def test_the_most_confident_mistakes_come_first_then_the_others_with_the_highest_loss():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.7, 0.1], [0.5, 0.1, 0.4], [0.45, 0.44, 0.11]])
    labels = np.array([0, 1, 0, 1, 2])  # wrong: 1 (confidence 0.6), 2 (0.7), 3 (0.5, true class 0.1), 4 (0.45, true class 0.11)
    found = find_mistakes(probabilities, labels, CLASSES, ["a", "b", "c", "d", "e"], count=2)
    assert [(mistake.kind, mistake.id) for mistake in found] == [
        ("confident", "c"),
        ("confident", "b"),
        ("worst", "d"),
        ("worst", "e"),
    ]
    assert (found[0].truth, found[0].predicted, found[0].confidence) == ("cat", "dog", 0.7)


def test_a_run_writes_predictions_without_pickle_and_pictures(tmp_path):
    torch.manual_seed(0)
    images, network = torch.randn(7, 3, 8, 8), TinyNetwork().eval()
    probabilities = network(images).logits.softmax(1).detach().numpy()
    labels = probabilities.argmax(1)
    labels[[2, 5]] = (labels[[2, 5]] + 1) % 3
    written = write_artifacts(
        tmp_path,
        network=network,
        batches=FakeBatches(images, labels),
        classes=CLASSES,
        probabilities=probabilities,
        labels=labels,
        ids=[f"cat/{index}.jpg" for index in range(7)],
        preprocessing=PREPROCESSING,
    )
    assert set(written) == {"mistakes_confident", "filters", "gradcam"}
    for path in written.values():
        assert Image.open(path).size[0] > 20
    with np.load(tmp_path / "predictions.npz", allow_pickle=False) as saved:
        assert saved["ids"].tolist()[3] == "cat/3.jpg"
        np.testing.assert_allclose(saved["probabilities"], probabilities, rtol=1e-6)
        assert saved["labels"].tolist() == labels.tolist()
    assert {mistake["index"] for mistake in mistakes_of(tmp_path)} == {2, 5}


def test_artifacts_written_before_a_resume_are_replaced_and_the_users_files_are_kept(tmp_path):
    given = {"batches": FakeBatches(torch.zeros(2, 3, 8, 8), [0, 1]), "classes": CLASSES, "labels": np.array([0, 1])}
    given |= {"network": None, "ids": ["a", "b"], "preprocessing": PREPROCESSING}
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "predictions.npz").touch()
    (tmp_path / "artifacts" / "gradcam.png").write_text("written by a version that kept no list of its files")
    assert set(write_artifacts(tmp_path, probabilities=np.eye(3)[[1, 0]], **given)) == {"mistakes_confident"}
    (tmp_path / "artifacts" / "mine.png").write_text("mine")
    write_artifacts(tmp_path, probabilities=np.eye(3)[[0, 1]], **given)
    left = sorted(path.name for path in (tmp_path / "artifacts").iterdir())
    assert left == [LIST, "mine.png", MISTAKES_FILE]


def test_predictions_are_written_without_a_network_and_without_mistakes(tmp_path):
    labels = np.array([0, 1])
    written = write_artifacts(
        tmp_path,
        network=None,
        batches=FakeBatches(torch.zeros(2, 3, 8, 8), labels),
        classes=CLASSES,
        probabilities=np.eye(3)[labels],
        labels=labels,
        ids=["a", "b"],
        preprocessing=PREPROCESSING,
    )
    assert written == {} and (tmp_path / "predictions.npz").exists() and mistakes_of(tmp_path) == []


def test_maps_explain_the_predicted_class_and_the_true_class_or_the_runner_up():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]])
    assert explained_classes(probabilities, np.array([2, 0])).tolist() == [[0, 2], [0, 1]]


def test_images_are_returned_in_the_requested_order():
    images = torch.arange(5).view(5, 1, 1, 1).expand(5, 3, 2, 2).float()
    found = collect_images(FakeBatches(images, [0] * 5), [3, 0, 3])
    assert found[:, 0, 0, 0].tolist() == [3, 0, 3]
    with pytest.raises(ValueError, match="9"):
        collect_images(FakeBatches(images, [0] * 5), [9])


def test_the_normalisation_of_pictures_is_undone():
    assert as_pictures(torch.full((1, 3, 2, 2), 1.0), PREPROCESSING)[0, 0, 0].tolist() == [191] * 3  # 0.75 of 255


def test_the_confusion_matrix_is_logged_to_tensorboard_as_a_picture(tmp_path):
    probabilities, labels = np.full((4, 2), 0.5), np.array([0, 1, 0, 1])
    shown = {"probabilities": probabilities, "labels": labels, "classes": ["cat", "dog"]}
    with TensorBoardTracker(tmp_path) as tracker:
        log_results(tracker, {}, **shown, confusion=[[3, 1], [0, 4]])
        log_results(tracker, {}, **shown, confusion=None)
    accumulator = EventAccumulator(str(tmp_path))
    accumulator.Reload()
    assert len(accumulator.Images("confusion/test")) == 1


def test_each_filter_is_scaled_to_its_own_range_and_placed_in_a_grid():
    network = TinyNetwork(channels=2)
    with torch.no_grad():
        network.convolution.weight.copy_(torch.tensor([[0.0, 1, 2], [30, 20, 10]]).view(2, 3, 1, 1))
    picture = first_layer_filters(network)
    assert picture.shape == (44, 86, 3)
    assert picture[10, 10].tolist() == [0, 127, 255] and picture[10, 60].tolist() == [255, 127, 0]
    assert first_layer_filters(torch.nn.Linear(2, 2)) is None


def test_a_grid_is_filled_row_by_row():
    pictures = np.stack([np.full((1, 1, 3), value, np.uint8) for value in (1, 2, 3)])
    assert grid(pictures, columns=2, gap=0)[..., 0].tolist() == [[1, 2], [3, 255]]
