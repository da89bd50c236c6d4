from __future__ import annotations

import pytest
import torch
from made_up_checkpoint import colour_checkpoint

from vision2.basics.errors import UserError
from vision2.inference.load_network import load_network
from vision2.training.checkpoint import load_checkpoint


def test_a_checkpoint_whose_tensors_do_not_match_its_model_is_refused(tmp_path):
    content = load_checkpoint(colour_checkpoint(tmp_path / "best.pt"))
    content["model"]["head.weight"] = torch.zeros(3, 8)
    sentence = r"do not match its model resnet20 \(size mismatch for head\.weight.*\); use another checkpoint or train again"
    with pytest.raises(UserError, match=sentence):
        load_network(content, torch.device("cpu"))
