"""torchvision is imported without torch's compiler if that works, and as usual if not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CODE = """
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
CODE_WITH_A_BROKEN_STUB = """
import torch
from vision2.models.families import light_torchvision
del light_torchvision._Stub.is_compile_supported, light_torchvision._Stub.__getattr__
assert light_torchvision.torchvision_models().get_model("resnet18").fc.out_features == 1000
import torchvision.ops
boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
assert torchvision.ops.nms(boxes, torch.ones(1), 0.5).tolist() == [0]
for device in ("cpu", "meta"):
    images = torch.ones(1, 1, 8, 8, device=device)
    assert torchvision.ops.roi_align(images, [boxes.to(device)], 2).shape == (1, 1, 2, 2)
"""


def run(code: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    start = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True)


@pytest.mark.parametrize("code", [CODE, CODE_WITH_A_BROKEN_STUB], ids=["stub", "fallback"])
def test_torchvision_its_operators_and_the_compiler_still_work(code):
    done = run(code)
    assert done.returncode == 0, done.stderr


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    "ops",
    [
        "from torch._dynamo.utils import is_compile_supported; assert is_compile_supported('cpu') == 'real'",
        "from torch._dynamo.utils import something_newer; assert something_newer == 'real'",
        "from torch._dynamo.decorators import disable; assert disable == 'real'",
        "import torch._dynamo; assert torch._dynamo.__file__",
        "import torch._dynamo as compiler",  # used only later, in the code below
        "pass",
    ],
)
def test_a_torchvision_that_imports_anything_else_gets_the_real_compiler(tmp_path, ops):
    """Made-up packages replace torch and torchvision, so that any version can be imitated."""
    write(
        tmp_path,
        {
            "torch/__init__.py": "",
            "torch/_dynamo/__init__.py": "from torch._dynamo import utils, decorators\nis_compiling = 'real'",
            "torch/_dynamo/utils.py": "something_newer = 'real'\ndef is_compile_supported(device): return 'real'",
            "torch/_dynamo/decorators.py": "disable = 'real'",
            "torchvision/__init__.py": "from torchvision import models, ops",
            "torchvision/models.py": "",
            "torchvision/ops.py": ops,
        },
    )
    code = (
        "from vision2.models.families.light_torchvision import torchvision_models\n"
        "models = torchvision_models()\n"
        "import torchvision, torch._dynamo\n"
        "assert models is torchvision.models and torchvision.ops\n"
        "assert torch._dynamo.is_compiling == getattr(torchvision.ops, 'compiler', torch._dynamo).is_compiling == 'real'"
    )
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
