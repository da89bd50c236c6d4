"""The classes of a head come only from the file or the user, and a head is kept only if they match."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from weight_files import RESNET20, library_state, loaded, saved

from vision2.basics.errors import UserError
from vision2.models.build import build_model
from vision2.models.settings import WeightsConfig
from vision2.models.weights.classes import read_classes
from vision2.models.weights.load import find_weights

NAMES = [f"class{i}" for i in range(10)]


def test_a_head_that_fits_is_not_kept_if_its_classes_are_unknown(tmp_path, resnet20):
    config = saved(tmp_path / "w.pth", library_state(resnet20))
    for classes in (NAMES, [str(number) for number in range(10)]):  # class names that are digits prove nothing either
        network, report = loaded(config, classes=classes)
        assert not torch.equal(network.head.weight, resnet20.head.weight)
        assert (
            "head: new: the file does not name the 10 classes of its head; list them, one per line, in weights.classes=FILE"
            in report.describe()
        )
        assert report.head_is_new


@pytest.mark.parametrize("key", ["classes", "class_names", "class_to_idx"])
def test_a_head_with_class_names_in_the_file_is_kept_for_the_same_classes_only(tmp_path, resnet20, key):
    named = dict(zip(NAMES, range(10), strict=True)) if key == "class_to_idx" else NAMES
    config = saved(tmp_path / "w.pth", {"state_dict": library_state(resnet20), key: named})
    network, report = loaded(config, classes=NAMES)
    assert torch.equal(network.head.weight, resnet20.head.weight)
    assert "head: kept: its 10 classes are those of the data" in report.describe()
    _, report = loaded(config, classes=[f"other{i}" for i in range(10)])
    assert report.head == "new: the file's head is for 10 other classes"


def test_equal_classes_in_another_order_reorder_the_rows_of_the_head(tmp_path, resnet20):
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    config = replace(saved(tmp_path / "w.pth", library_state(resnet20)), classes=str(tmp_path / "names.txt"))
    network, _ = loaded(config, classes=NAMES[::-1])
    assert torch.equal(network.head.weight, resnet20.head.weight.flip(0))
    assert torch.equal(network.head.bias, resnet20.head.bias.flip(0))


@pytest.mark.parametrize("remark", ["name", "header", "settings", "none"])
def test_a_thousand_outputs_are_imagenet_only_if_the_file_says_so(tmp_path, remark):
    state = library_state(build_model(RESNET20, 1000, seed=1))
    path = tmp_path / ("r20_in1k.pth" if remark == "name" else "w.safetensors" if remark == "header" else "w.pth")
    if remark == "header":
        save_file(state, path, metadata={"dataset": "ImageNet-1k"})
    else:
        torch.save(state if remark != "settings" else {"model": state, "args": Namespace(dataset="imagenet")}, path)
    source = find_weights(WeightsConfig(path=str(path)), RESNET20)
    known = source.classes_of(1000)
    assert known is None if remark == "none" else known[281] == "tabby"
    assert source.classes_of(10) is None


@pytest.mark.parametrize("content", ['["b", "a"]', '{"0": "b", "1": "a"}', '{"a": 1, "b": 0}'])
def test_class_names_are_read_from_every_usual_form_of_json(tmp_path, resnet20, content):
    (tmp_path / "names.json").write_text(content)
    config = replace(saved(tmp_path / "w.pth", library_state(resnet20)), classes=str(tmp_path / "names.json"))
    assert find_weights(config, RESNET20).classes_of(2) == ("b", "a")


@pytest.mark.parametrize(("name", "content"), [("names.txt", b"ni\xf1o\n"), ("names.json", b"[oak")])
def test_a_file_of_class_names_that_cannot_be_read_is_refused_with_what_to_give(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        UserError, match=rf"weights\.classes=.*{name} cannot be read .*; give a text file with one class per line"
    ):
        read_classes(str(tmp_path / name))


def test_a_file_without_class_names_is_refused_with_what_to_write(tmp_path, resnet20):
    (tmp_path / "names.json").write_text(json.dumps({"a": "b"}))
    config = replace(saved(tmp_path / "w.pth", library_state(resnet20)), classes=str(tmp_path / "names.json"))
    with pytest.raises(UserError, match=r"names\.json does not list distinct class names; write one class per line"):
        find_weights(config, RESNET20)
