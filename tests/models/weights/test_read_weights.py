"""Training checkpoints with more than tensors, other precisions and shards are read, and no code is run."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from weight_files import RESNET20, library_state, loaded, prefixed, same_network, saved

from vision2.basics.errors import UserError
from vision2.models.settings import WeightsConfig
from vision2.models.weights.load import find_weights
from vision2.models.weights.read import read_file

BUILT = []


class Settings(dict):
    """A class of a made-up training script; every instance that is built is recorded."""

    def __init__(self, *values, **more):
        BUILT.append(self)
        super().__init__(*values, **more)

    def __setstate__(self, state):
        BUILT.append(state)


class Slotted:
    __slots__ = ("rate",)

    def __init__(self):
        self.rate = 0.1


def training_checkpoint(resnet20, tool: str) -> dict:
    state = library_state(resnet20)
    optimizer = torch.optim.SGD(resnet20.parameters(), lr=0.1, momentum=0.9)
    shared = {"epoch": 3, "optimizer": optimizer.state_dict(), "best": np.float64(91.2), "rng": np.zeros(3)}
    if tool == "lightning":
        parts = {"state_dict": prefixed("model.", state), "hyper_parameters": Settings(lr=0.1, net=Slotted())}
        return parts | {"optimizer_states": [shared["optimizer"]], "callbacks": {"x": {"best": np.float32(1.0)}}}
    if tool == "timm":
        return shared | {"arch": "resnet20", "state_dict": state, "args": Namespace(lr=0.1, opt="sgd", sizes=(3, 32, 32))}
    return shared | {"model": state, "args": Namespace(data=Path("x")), "scaler": {}, "log": defaultdict(list, loss=[1.0])}


@pytest.mark.parametrize("tool", ["lightning", "timm", "torchvision"])
@pytest.mark.parametrize("zipped", [True, False])
def test_training_checkpoints_of_other_tools_are_read_and_no_code_is_run(tmp_path, resnet20, tool, zipped):
    torch.save(training_checkpoint(resnet20, tool), tmp_path / "w.ckpt", _use_new_zipfile_serialization=zipped)
    BUILT.clear()
    network, report = loaded(WeightsConfig(path=str(tmp_path / "w.ckpt")))
    assert same_network(network, resnet20)
    assert (report.dropped, report.kept) == ((), ())
    assert BUILT == []


def test_only_the_tensors_of_a_network_saved_as_an_object_are_read(tmp_path, resnet20):
    torch.save(resnet20.backbone, tmp_path / "w.pth")
    network, _ = loaded(WeightsConfig(path=str(tmp_path / "w.pth")))
    assert torch.equal(network.backbone.layer3[0].conv1.weight, resnet20.backbone.layer3[0].conv1.weight)
    assert network.backbone.bn1.running_mean.tolist() == [0.25] * 16


class Calls:
    """Pickles as a call of a given function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [eval, exec, getattr, __import__, open])
def test_standard_library_functions_in_a_pickle_are_refused(tmp_path, monkeypatch, function):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.ones(1), "evil": Calls(function, "open('exploded', 'w')")}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="contains code"):
        find_weights(WeightsConfig(path="w.pth"), RESNET20)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.ones(1)], r"contains a list, not a dict of tensors; save model\.state_dict\(\) instead"),
        ({"epoch": 3, "rate": 0.1}, r"contains no tensors \(its keys: epoch, rate\); save model\.state_dict\(\) instead"),
    ],
    ids=["list", "no tensors"],
)
def test_a_file_without_a_dict_of_tensors_is_refused_with_what_to_save(content, said, tmp_path):
    with pytest.raises(UserError, match=said):
        find_weights(saved(tmp_path / "w.pth", content), RESNET20)


def test_functions_of_other_packages_are_never_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.ones(1), "evil": Calls(np.save, "exploded", [1])}, tmp_path / "w.pth")
    assert "w" in read_file(tmp_path / "w.pth")
    assert [file.name for file in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted_to_float32(tmp_path, resnet20, dtype):
    state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in library_state(resnet20).items()}
    state["conv1.weight"] = state["conv1.weight"].sum(1, keepdim=True)  # adapted as well
    network, report = loaded(saved(tmp_path / "w.safetensors", state))
    assert report.kept == ()
    assert {t.dtype for t in network.parameters()} == {torch.float32}
    assert torch.allclose(network.head.weight, resnet20.head.weight, atol=1e-2)


def sharded(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    names, weight_map = list(state), {}
    for number, part in enumerate((names[:50], names[50:]), start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: state[name] for name in part}, folder / file)
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder / "model.safetensors.index.json"


def test_sharded_safetensors_are_read_from_their_index_or_folder(tmp_path, resnet20):
    index = sharded(tmp_path, library_state(resnet20))
    first = find_weights(WeightsConfig(path=str(index)), RESNET20)
    for place in (index, tmp_path):
        network, report = loaded(WeightsConfig(path=str(place)))
        assert same_network(network, resnet20)
        assert report.sha256 == first.sha256
    state = library_state(resnet20) | {"fc.bias": torch.ones(10)}
    sharded(tmp_path, state)
    assert find_weights(WeightsConfig(path=str(index)), RESNET20).sha256 != first.sha256  # a changed shard changes the sha256


def test_an_index_with_missing_files_or_files_elsewhere_is_refused(tmp_path, resnet20):
    index = sharded(tmp_path, library_state(resnet20))
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match=r"names model-00002-of-00002\.safetensors, which is not in"):
        find_weights(WeightsConfig(path=str(index)), RESNET20)
    index.write_text(json.dumps({"weight_map": {"a": "../../secret.safetensors"}}))
    with pytest.raises(UserError, match=r"\.\./\.\./secret\.safetensors, which is not in"):
        find_weights(WeightsConfig(path=str(index)), RESNET20)
    index.write_text("[]")
    with pytest.raises(UserError, match="is not an index of weights"):
        find_weights(WeightsConfig(path=str(index)), RESNET20)
