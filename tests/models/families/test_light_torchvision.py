from __future__ import annotations

import subprocess
import sys

ASK = """
import sys
from vision2.models.families.light_torchvision import torchvision_models
models = torchvision_models()
assert "torch._dynamo" not in sys.modules
assert models.get_model("resnet18").fc.out_features == 1000
import torch
from torchvision.ops.roi_align import is_compile_supported
assert is_compile_supported("cpu") in (True, False)
assert torch.compile(torch.nn.Linear(2, 3), backend="eager")(torch.ones(1, 2)).shape == (1, 3)
from torch._dynamo.utils import is_compile_supported as real
assert is_compile_supported("cpu") == real("cpu")
import torchvision.ops
boxes = torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])
assert torchvision.ops.roi_align(torch.ones(1, 1, 8, 8), boxes, 2).shape == (1, 1, 2, 2)
"""


def test_torchvision_loads_without_the_compiler_which_still_works_when_it_is_needed():
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
