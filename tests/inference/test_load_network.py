"""A checkpoint that another version or program wrote is loaded completely or refused in one sentence."""

from __future__ import annotations

import pytest
import torch
from made_up_checkpoint import colour_checkpoint, cut_checkpoint, reading_head

from vision2.basics.errors import UserError
from vision2.inference.load_network import trained_of_checkpoint
from vision2.training.checkpoint import load_checkpoint, save_checkpoint

CPU = torch.device("cpu")


def refusal(path) -> str:
    with pytest.raises(UserError) as caught:
        trained_of_checkpoint(str(path), CPU)
    (problem,) = caught.value.problems
    assert str(path) in problem and "\n" not in problem
    return problem


def test_a_model_setting_of_another_version_is_named(tmp_path):
    content = load_checkpoint(colour_checkpoint(tmp_path / "best.pt"))
    content["model_config"]["attention"] = "axial"
    save_checkpoint(tmp_path / "best.pt", content)
    found = refusal(tmp_path / "best.pt")
    assert "another version of vision2 (model_config: " in found and "'attention'" in found and "use that version" in found


@pytest.mark.parametrize("part", ["classes", "preprocessing", "model_config", "model"])
def test_a_part_that_is_absent_is_named(tmp_path, part):
    content = load_checkpoint(colour_checkpoint(tmp_path / "best.pt"))
    del content[part]
    save_checkpoint(tmp_path / "best.pt", content)
    assert f"is not a complete vision2 checkpoint ({part}); use another" in refusal(tmp_path / "best.pt")


@pytest.mark.parametrize("key", ["kind", "layer", "pooling"])
def test_an_incomplete_record_of_the_classifier_is_refused(tmp_path, key):
    content = load_checkpoint(cut_checkpoint(tmp_path / "best.pt", reading_head()))
    del content["classifier"][key]
    save_checkpoint(tmp_path / "best.pt", content)
    assert "is not a complete vision2 checkpoint (classifier)" in refusal(tmp_path / "best.pt")


def test_tensors_of_another_model_are_refused_with_the_file_and_what_to_do(tmp_path):
    content = load_checkpoint(colour_checkpoint(tmp_path / "best.pt"))
    content["model"] = {"backbone.conv1.weight": torch.zeros(1)}
    save_checkpoint(tmp_path / "best.pt", content)
    assert "use another checkpoint or train again" in refusal(tmp_path / "best.pt")
