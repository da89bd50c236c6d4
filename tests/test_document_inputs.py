"""docs/inputs.md matches the code, and each layout it shows is read as it says."""

import importlib.util
from pathlib import Path

import pytest
from made_up_images import write_images

from vision2.basics.errors import UserError
from vision2.data.files.formats import FORMATS
from vision2.data.files.layouts import read_layout
from vision2.data.settings import DatasetConfig
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.models.weights.names import name_tensors

ROOT = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location("document_inputs", ROOT / "scripts" / "document_inputs.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


def test_the_page_matches_the_code():
    before = script.PAGE.read_text(encoding="utf-8")
    assert before == script.page(), "run: python scripts/document_inputs.py"
    assert all(extension in before for kind in FORMATS for extension in kind.extensions)


@pytest.mark.parametrize("prefix", [prefix for prefix, _ in script.PREFIXES])
def test_each_prefix_on_the_page_is_read(prefix):
    network = build_model(ModelConfig(name="resnet20"), 10, seed=0)
    saved = {prefix + name: tensor for name, tensor in network.backbone.state_dict().items()}
    found = name_tensors(network, saved).tensors
    assert {f"backbone.{name}" for name in network.backbone.state_dict()} <= found.keys()


@pytest.mark.parametrize("layout", script.LAYOUTS, ids=lambda layout: layout[0])
def test_each_layout_on_the_page_is_read_as_it_says(tmp_path, layout):
    words, _, classes = layout
    level = next((word.partition("=")[2] for word in words.split() if "=" in word), None)
    root = write_images(tmp_path, [word for word in words.split() if "=" not in word])
    config = DatasetConfig(name="folder", class_level=level)
    if classes:
        assert read_layout(root, config).classes == tuple(classes.split())
    else:
        with pytest.raises(UserError, match=r"dataset\.class_level"):
            read_layout(root, config)
