from __future__ import annotations

import pickle

import pytest
import torch

from vision2.basics.errors import UserError
from vision2.models.weights.read import READ_ERRORS
from vision2.training.checkpoint import load_checkpoint, load_last, save_checkpoint, saved_config


class Harmful:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_checkpoint_is_read_back_as_it_was_written(tmp_path):
    save_checkpoint(tmp_path / "best.pt", {"model": {"w": torch.arange(3.0)}, "state": {"epoch": 2}})
    content = load_checkpoint(tmp_path)
    assert torch.equal(content["model"]["w"], torch.tensor([0.0, 1.0, 2.0]))
    assert content["state"] == {"epoch": 2}


def test_a_failed_write_leaves_the_old_checkpoint_and_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"state": 1})

    def breaks(content, file):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", breaks)
    with pytest.raises(UserError, match="disk full"):
        save_checkpoint(path, {"state": 2})
    assert load_checkpoint(path)["state"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("error", READ_ERRORS)
def test_every_error_of_reading_a_damaged_file_is_refused_in_one_sentence(tmp_path, monkeypatch, error):
    save_checkpoint(tmp_path / "best.pt", {"state": 1})

    def breaks(*_, **__):
        raise error("broken")

    monkeypatch.setattr(torch, "load", breaks)
    with pytest.raises(UserError, match="use another checkpoint or train again"):
        load_checkpoint(tmp_path)


RESUMABLE = {
    "classes": ["a"],
    "preprocessing": {},
    "config": {"train": {"epochs": 2}},
    "state": {"epoch": 1},
    "model": {},
    "weights": None,
    "lineage": [],
    "precision": "float32",
}


def test_a_complete_checkpoint_can_be_resumed(tmp_path):
    save_checkpoint(tmp_path / "last.pt", RESUMABLE)
    assert load_last(tmp_path)["state"] == {"epoch": 1}


@pytest.mark.parametrize("part", RESUMABLE)
def test_a_checkpoint_that_lacks_a_part_cannot_be_resumed_and_the_part_is_named(tmp_path, part):
    save_checkpoint(tmp_path / "last.pt", {key: value for key, value in RESUMABLE.items() if key != part})
    with pytest.raises(UserError, match=rf"last.pt is not a complete vision2 checkpoint \({part}\)"):
        load_last(tmp_path)


@pytest.mark.parametrize("state", [{}, {"epoch": "one"}, {"epoch": 1, "momentum": 0.9}])
def test_the_progress_of_another_version_cannot_be_resumed(tmp_path, state):
    save_checkpoint(tmp_path / "last.pt", RESUMABLE | {"state": state})
    with pytest.raises(UserError, match=r"last.pt is not a complete vision2 checkpoint \(state\)"):
        load_last(tmp_path)


def test_a_checkpoint_without_a_configuration_cannot_be_evaluated(tmp_path):
    save_checkpoint(tmp_path / "best.pt", {"model": {}})
    with pytest.raises(UserError, match=r"best.pt is not a complete vision2 checkpoint \(config\)"):
        saved_config(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", pickle.dumps(Harmful())])
def test_a_damaged_or_harmful_file_is_refused(tmp_path, content, capsys):
    file = tmp_path / "x.pt"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read as a checkpoint: .*; use another checkpoint"):
        load_checkpoint(file)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [{"w": torch.ones(1)}, [1]], ids=["weights", "list"])
def test_a_torch_file_that_is_not_a_checkpoint_is_refused_with_what_to_type(content, tmp_path):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(UserError, match=r"x\.pt is not a vision2 checkpoint; to load a file of weights .*weights\.path=FILE"):
        load_checkpoint(tmp_path / "x.pt")


def test_a_harmful_object_inside_a_torch_file_is_not_executed(tmp_path, capsys):
    torch.save({"format": 1, "model": Harmful()}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="more than tensors"):
        load_checkpoint(tmp_path / "x.pt")
    assert "executed" not in capsys.readouterr().out
