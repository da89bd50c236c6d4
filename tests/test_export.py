"""`python -m vision2.export`: a file that other programs run and that predicts what the checkpoint predicts, or no file."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from made_up_checkpoint import CLASSES, SIZE_PX, colour_checkpoint, cut_checkpoint, neighbour_head, reading_head

from vision2.basics.written import LIST, WrittenFiles
from vision2.export import main
from vision2.inference import exported
from vision2.training.checkpoint import load_checkpoint

KINDS = {"onnx": "best.onnx", "torch_export": "best.pt2"}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run folder with its checkpoint and both exports of it."""
    folder = tmp_path_factory.mktemp("run")
    colour_checkpoint(folder / "best.pt")
    for kind in KINDS:
        if kind == "onnx":
            pytest.importorskip("onnxruntime")
            pytest.importorskip("onnxscript")
        assert main([f"checkpoint={folder}", f"format={kind}"]) == 0
    return folder


def red_green(count: int) -> np.ndarray:
    """Normalised images, alternately red and green: (1, -1, -1) and (-1, 1, -1) with mean = std = 0.5."""
    images = -np.ones((count, 3, SIZE_PX, SIZE_PX), np.float32)
    for index in range(count):
        images[index, index % 2] = 1
    return images


def expect_red_green(probabilities: np.ndarray) -> None:
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    named = [CLASSES[index] for index in probabilities.argmax(1)]
    assert named == (["red", "green"] * len(named))[: len(named)]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_onnxruntime_gives_probabilities_for_any_batch_size(run_folder, count):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(run_folder / "best.onnx"))
    (probabilities,) = session.run(["probabilities"], {"images": red_green(count)})
    assert probabilities.shape == (count, 3)
    expect_red_green(probabilities)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_torch_export_gives_probabilities_for_any_batch_size(run_folder, count):
    program = torch.export.load(run_folder / "best.pt2")
    expect_red_green(program.module()(torch.from_numpy(red_green(count))).detach().numpy())


def test_classes_and_preprocessing_are_stored_in_the_files(run_folder):
    import onnx

    properties = {entry.key: json.loads(entry.value) for entry in onnx.load(run_folder / "best.onnx").metadata_props}
    inside = {"vision2.json": ""}
    torch.export.load(run_folder / "best.pt2", extra_files=inside)
    for found in (properties, json.loads(inside["vision2.json"])):
        assert found["classes"] == CLASSES
        assert found["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
        assert found["model"] == "resnet20"


def test_each_export_is_a_single_file_and_no_temporary_files_are_left(run_folder):
    assert sorted(file.name for file in run_folder.iterdir()) == [LIST, "best.onnx", "best.pt", "best.pt2"]


def test_the_largest_difference_is_reported(run_folder, tmp_path, capsys):
    assert main([f"checkpoint={run_folder}", "format=torch_export", f"out={tmp_path / 'new' / 'net.pt2'}"]) == 0
    assert "largest difference from the checkpoint: " in capsys.readouterr().out
    assert (tmp_path / "new" / "net.pt2").exists()


@pytest.mark.parametrize("wrong", [0.01, float("nan")])
def test_an_export_that_disagrees_is_an_error_and_changes_no_file(run_folder, tmp_path, monkeypatch, capsys, wrong):
    right = exported.run_torch_export
    monkeypatch.setattr(exported, "run_torch_export", lambda path, images: right(path, images) + wrong)
    out = WrittenFiles(tmp_path).path("net.pt2")
    out.write_text("what was there before")
    assert main([f"checkpoint={run_folder}", "format=torch_export", f"out={out}"]) == 2
    assert "so no file was written; try format=onnx, or raise tolerance" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == [LIST, "net.pt2"]
    assert out.read_text() == "what was there before"


def test_a_file_of_the_user_is_not_overwritten(run_folder, tmp_path, capsys):
    (tmp_path / "net.pt2").write_text("mine")
    assert main([f"checkpoint={run_folder}", "format=torch_export", f"out={tmp_path / 'net.pt2'}"]) == 2
    assert "net.pt2 was not written by vision2" in capsys.readouterr().err
    assert (tmp_path / "net.pt2").read_text() == "mine"


def test_a_network_cut_after_a_layer_is_exported_with_its_classifier(tmp_path):
    cut_checkpoint(tmp_path / "best.pt", reading_head())
    assert main([f"checkpoint={tmp_path}", "format=torch_export"]) == 0
    program = torch.export.load(tmp_path / "best.pt2")
    expect_red_green(program.module()(torch.from_numpy(red_green(5))).detach().numpy())


def test_nearest_neighbours_cannot_be_exported_and_the_error_says_what_can(tmp_path, capsys):
    cut_checkpoint(tmp_path / "best.pt", neighbour_head())
    assert main([f"checkpoint={tmp_path}", "format=torch_export"]) == 2
    assert "strategy.classifier=linear" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]


def test_a_missing_package_is_named_with_the_command_that_installs_it(run_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main([f"checkpoint={run_folder}", "format=onnx", f"out={tmp_path / 'net.onnx'}"]) == 2
    assert "onnxscript; install it with: pip install 'vision2[onnx]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_weights_is_exported_with_its_own_head(tmp_path, capsys):
    torch.save(load_checkpoint(colour_checkpoint(tmp_path / "best.pt"))["model"], tmp_path / "weights.pth")
    words = ["model=resnet20", f"weights.path={tmp_path / 'weights.pth'}", "format=torch_export", "dataset.image_size_px=16"]
    assert main(words) == 0
    assert "classes in order: 0, 1, 2 (numbers, as the weights do not name them" in capsys.readouterr().out
    assert torch.export.load(tmp_path / "weights.pt2").module()(torch.zeros(4, 3, 16, 16)).shape == (4, 3)
    (tmp_path / "names.txt").write_text("\n".join(CLASSES))
    assert main([*words, f"weights.classes={tmp_path / 'names.txt'}"]) == 0
    assert "classes in order: blue, green, red\n" in capsys.readouterr().out
    inside = {"vision2.json": ""}
    torch.export.load(tmp_path / "weights.pt2", extra_files=inside)
    assert json.loads(inside["vision2.json"])["classes"] == CLASSES


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "which checkpoint?"),
        (["checkpoint=absent.pt"], "no checkpoint at absent.pt"),
        (["checkpoint={folder}", "format=tflite"], "onnx or torch_export"),
        (
            ["checkpoint={folder}", "format=torch_export", "out={folder}"],
            "is a folder; give a file, e.g. out={folder}/model.pt2",
        ),
        (["checkpoint={folder}", "out={folder}/best.pt"], "best.pt must end in .onnx with format=onnx"),
        (["checkpoint={folder}", "tolerance=-1"], "it must be above 0"),
        (["model=resnet18", "weights.name=default"], "resnet18-f37072fd.pth"),
        (["checkpoint={folder}", "model=resnet18"], "'model=resnet18' cannot be combined with checkpoint="),
    ],
)
def test_mistakes_give_one_line_and_exit_code_2(words, sentence, run_folder, capsys):
    assert main([word.format(folder=run_folder) for word in words]) == 2
    errors = capsys.readouterr().err
    assert sentence.format(folder=run_folder) in errors
    assert errors.count("\n") == 1
