"""Evaluating a weights file with its own head, and a checkpoint on any available device."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from made_up_images import class_folders

from vision2.basics.errors import UserError
from vision2.config.compose import compose_config, load_config
from vision2.config.saved import config_of_checkpoint
from vision2.experiment import run
from vision2.jobs.evaluate import evaluate
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.training.checkpoint import load_checkpoint, save_checkpoint

TINY = ["dataset=digits", "dataset.image_size_px=16", "dataset.fraction=0.1", "device=cpu"]


@pytest.fixture
def weights(tmp_path):
    """A ResNet-20 for ten classes whose head always answers 3, in a file without class names."""
    network = build_model(ModelConfig("resnet20"), 10, seed=1)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias[3] += 100
    state = {
        name.replace("backbone.", "module.").replace("head.", "module.linear."): t for name, t in network.state_dict().items()
    }
    torch.save({"state_dict": state, "best_prec1": 91.0}, tmp_path / "resnet20.th")
    return tmp_path / "resnet20.th"


def test_a_weights_file_is_evaluated_with_its_own_head(weights, capsys):
    result = evaluate(load_config(["mode=eval", f"weights.path={weights}", "model=resnet20", *TINY]))
    confusion = np.array(result["metrics"]["test"]["confusion"])
    assert confusion[:, 3].sum() == confusion.sum() == result["metrics"]["test"]["n"]
    order = "assumed to be in the data set's order (0, 1, 2...); to name them, one per line, set weights.classes=FILE"
    printed = capsys.readouterr().out
    assert order in printed
    assert "images: 16 px (crop), mean 0." in printed and "does not say its own, so these are the usual ones" in printed
    (file,) = weights.parent.glob("evaluation-digits-*-resnet20.json")
    written = json.loads(file.read_text())
    assert written["preprocessing"]["image_size_px"] == 16 and len(written["preprocessing"]["mean"]) == 3
    assert written["metrics"]["test"]["accuracy"] == result["metrics"]["test"]["accuracy"]


@pytest.mark.parametrize("change", [["dataset.image_size_px=24"], ["weights.key=other"], ["resized"], ["renamed"]])
def test_settings_that_change_the_result_of_a_weights_file_do_not_share_a_file(weights, tmp_path, change):
    saved = torch.load(weights)
    torch.save(saved | {"other": saved["state_dict"]}, weights)
    words = ["mode=eval", "model=resnet20", "device=cpu", "weights.key=state_dict", *TINY]
    if change == ["resized"]:
        names = tmp_path / "names.txt"
        names.write_text("\n".join(["ant", "bee", *"23456789"]))
        root = class_folders(tmp_path / "photos", ant=3, bee=3)
        words += [f"weights.classes={names}", "dataset=folder", f"dataset.root={root}"]
        change = ["dataset.resize=squash"]
    evaluate(load_config([*words, f"weights.path={weights}"]))
    if change == ["renamed"]:
        weights, change = weights.rename(weights.with_suffix(".pth")), []
    evaluate(load_config([*words, f"weights.path={weights}", *change]))
    assert len(list(weights.parent.glob("evaluation-*.json"))) == 2


def test_named_classes_are_matched_by_name(weights, tmp_path, capsys):
    (tmp_path / "names.txt").write_text("\n".join("9876543210"))
    words = ["mode=eval", f"weights.path={weights}", f"weights.classes={tmp_path / 'names.txt'}", "model=resnet20", *TINY]
    result = evaluate(load_config(words))
    assert result["classes"][3] == "6"
    assert "data set's order" not in capsys.readouterr().out


def test_a_head_that_is_absent_or_for_another_number_of_classes_is_not_evaluated(weights):
    words = ["mode=eval", f"weights.path={weights}", "model=resnet20", *TINY]
    with pytest.raises(UserError, match="has a head for 10 classes but the data set has 3; give the file's class names"):
        evaluate(load_config([*words, "dataset.classes=['0','1','2']"]))
    content = torch.load(weights)
    torch.save({name: t for name, t in content["state_dict"].items() if "linear" not in name}, weights)
    with pytest.raises(UserError, match="has no classifier for the features of resnet20, so it would predict at random"):
        evaluate(load_config(words))


def test_a_new_head_that_would_not_be_trained_is_an_error(weights, tmp_path):
    words = ["strategy=finetune", f"weights.path={weights}", "model=resnet20", "train.epochs=0", *TINY]
    with pytest.raises(UserError, match=r"train\.epochs=0 would evaluate an untrained head .*mode=eval weights\.path=FILE"):
        run(load_config(words), lambda: tmp_path / "run", "")
    assert not (tmp_path / "run").exists()


def test_a_random_network_that_would_not_be_trained_gets_a_warning(tmp_path, capsys):
    run(load_config([*TINY, "model=resnet20", "train.epochs=0"]), lambda: tmp_path, "")
    assert "warning: train.epochs=0 evaluates a random network" in capsys.readouterr().out


def test_validation_images_that_the_source_was_trained_on_are_counted_in_a_warning(tmp_path, capsys):
    for name, words in (("source", []), ("run", ["strategy=finetune", f"strategy.source={tmp_path / 'source'}", "seed=3"])):
        (tmp_path / name).mkdir()
        run(load_config([*TINY, "dataset.fraction=1", "model=resnet20", "train.epochs=1", *words]), lambda: tmp_path / name, "")  # noqa: B023
    ids = {name: json.loads((tmp_path / name / "split.json").read_text())["splits"] for name in ("source", "run")}
    seen = len(set(ids["source"]["train"]["ids"]) & set(ids["run"]["val"]["ids"]))
    assert seen > 0
    assert f"trained on {seen} of these {len(ids['run']['val']['ids'])} validation images" in capsys.readouterr().out


def test_class_names_in_the_table_of_an_evaluation_are_not_formulas(tmp_path, weights):
    class_folders(tmp_path / "photos", **{"=a": 4, "-b": 3})
    (tmp_path / "names.txt").write_text("\n".join(["=a", "-b", *"cdefghij"]))
    words = ["mode=eval", f"weights.path={weights}", f"weights.classes={tmp_path / 'names.txt'}", "model=resnet20"]
    evaluate(load_config([*words, "dataset=folder", f"dataset.root={tmp_path / 'photos'}", "dataset.image_size_px=16"]))
    (file,) = weights.parent.glob("evaluation-folder-*.csv")
    rows = list(csv.DictReader(file.open()))
    assert {row["class"] for row in rows} == {"'=a", "'-b"}
    assert {row["image"][:2] for row in rows} == {"'=", "'-"}


def test_a_checkpoint_is_evaluated_on_an_available_device_whichever_trained_it(tmp_path, monkeypatch):
    run(load_config([*TINY, "train.epochs=1", "model=resnet20"]), lambda: tmp_path, "")
    saved = load_checkpoint(tmp_path)
    saved["config"] |= {"device": "cuda:7"}
    monkeypatch.setattr("torch.serialization.location_tag", lambda _storage: "cuda:7")  # tensors as that GPU saves them
    save_checkpoint(tmp_path / "best.pt", saved)
    monkeypatch.undo()
    words = ["mode=eval", f"checkpoint={tmp_path}"]
    assert config_of_checkpoint(saved["config"], compose_config(words), words).device == "auto"
    words = [*words, "device=cpu"]
    result = evaluate(config_of_checkpoint(load_checkpoint(tmp_path)["config"], compose_config(words), words))
    assert result["metrics"]["test"]["n"] > 0
