"""Transfer from an earlier run: what is refused, what is adopted and reported, what is recorded."""

from __future__ import annotations

import json

import pytest

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import Preprocessing
from vision2.config.compose import compose_config, load_config
from vision2.config.saved import config_of_checkpoint, config_of_run
from vision2.experiment import run
from vision2.jobs.evaluate import evaluate
from vision2.runs.transfer_source import describe_lineage, lineage, preprocessing_note, scale_warning, source_checkpoint
from vision2.training.checkpoint import load_checkpoint

TINY = ["dataset.fraction=0.1", "device=cpu", "dataset.image_size_px=16", "train.epochs=1", "train.warmup_epochs=0"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    run(load_config(TINY), lambda: folder, "")
    return folder


def trained(folder, *words):
    folder.mkdir()
    return run(load_config([*TINY, *words]), lambda: folder, "")


def test_the_summary_records_the_whole_lineage_back_to_the_start(source, tmp_path):
    first = trained(tmp_path / "first", "strategy=finetune", f"strategy.source={source}", "seed=3")
    second = trained(tmp_path / "second", "strategy=feature_extraction", f"strategy.source={tmp_path / 'first'}", "seed=5")
    assert [step["run"] for step in first["lineage"]] == [str(source)]
    assert [(step["run"], step["strategy"], step["seed"]) for step in second["lineage"]] == [
        (str(tmp_path / "first"), "finetune", 3),
        (str(source), "scratch", 0),
    ]
    assert second["weights"]["sha256"] == second["lineage"][0]["weights"]["sha256"]


def test_a_resumed_run_keeps_its_lineage_even_without_its_source(source, tmp_path):
    summary = trained(tmp_path / "run", "strategy=finetune", f"strategy.source={source}")
    resumed = run(config_of_run(str(tmp_path / "run"), ["train.epochs=2"]), lambda: tmp_path / "run", "")
    assert resumed["lineage"] == summary["lineage"]
    assert resumed["weights"] == summary["weights"]


def test_a_source_that_failed_or_has_no_checkpoint_is_refused_in_one_sentence(tmp_path):
    failed, empty, begun = (tmp_path / name for name in ("failed", "empty", "begun"))
    for folder in (failed, empty, begun):
        folder.mkdir()
    (failed / "summary.json").write_text(json.dumps({"status": "failed", "error": "the loss is NaN or infinite"}))
    (failed / "best.pt").write_bytes(b"a checkpoint of an epoch before the failure")
    (begun / "config.yaml").write_text("seed: 0")
    with pytest.raises(UserError, match=r"is a run that failed \(the loss is NaN or infinite\); give a completed run"):
        source_checkpoint(str(failed))
    with pytest.raises(UserError, match=r"is not a run folder \(no best.pt\); give the folder of a completed run"):
        source_checkpoint(str(empty))
    with pytest.raises(UserError, match="has no finished epoch yet"):
        source_checkpoint(str(begun))


def test_a_source_of_another_architecture_is_refused_in_one_sentence(source, tmp_path):
    with pytest.raises(UserError, match=r"holds another model; to use it, type model\.name=resnet20"):
        trained(tmp_path / "run", "model=resnet32", "strategy=finetune", f"strategy.source={source}")


def test_the_preprocessing_of_a_source_is_adopted_and_reported(source, tmp_path, capsys):
    trained(tmp_path / "run", "strategy=finetune", f"strategy.source={source}", "dataset.image_size_px=32")
    printed = capsys.readouterr().out
    assert "using the preprocessing of the source: mean" in printed
    assert "images are 32 px, 2 times the 16 px that the weights were trained at" in printed
    before, after = (load_checkpoint(folder)["preprocessing"] for folder in (source, tmp_path / "run"))
    assert (after["mean"], after["std"]) == (before["mean"], before["std"])
    assert after["image_size_px"] == 32


def test_test_images_that_the_source_was_trained_on_are_counted_in_a_warning(source, tmp_path, capsys):
    trained(tmp_path / "same", "strategy=finetune", f"strategy.source={source}")
    assert "the source was trained on" not in capsys.readouterr().out
    summary = trained(tmp_path / "other", "strategy=finetune", f"strategy.source={source}", "seed=3")
    ids = {name: set(json.loads((folder / "split.json").read_text())["splits"][part]["ids"])
           for name, folder, part in (("seen", source, "train"), ("test", tmp_path / "other", "test"))}  # fmt: skip
    seen = len(ids["seen"] & ids["test"])
    assert seen > 0
    assert f"trained on {seen} of these {summary['metrics']['test']['n']} test images" in capsys.readouterr().out


def test_an_evaluation_refuses_images_the_checkpoint_was_trained_on(source):
    words, saved = ["mode=eval", f"checkpoint={source}", "device=cpu"], load_checkpoint(source)["config"]
    with pytest.raises(UserError, match=r"checkpoint was trained on \d+ of the \d+ images of the \w+ split; leave out seed"):
        evaluate(config_of_checkpoint(saved, compose_config([*words, "seed=3"]), [*words, "seed=3"]))
    with pytest.raises(UserError, match=r"keeps the preprocessing of its checkpoint; leave out dataset\.image_size_px"):
        config_of_checkpoint(saved, compose_config(words), [*words, "dataset.image_size_px=32"])


def test_a_strategy_that_starts_from_random_weights_ignores_the_source(source, tmp_path):
    summary = trained(tmp_path / "run", "strategy=scratch", f"strategy.source={source}")
    assert summary["weights"] is None
    assert summary["lineage"] == []


def test_a_resumed_run_refuses_a_data_set_with_other_classes(source):
    from vision2.preparation import prepare
    from vision2.training.checkpoint import load_checkpoint

    config = load_config([*TINY, "dataset.classes=[0,1,2]"])
    with pytest.raises(UserError, match=r"other classes .* than the resumed run"):
        prepare(config, load_checkpoint(source / "last.pt"))


def test_published_weights_end_a_lineage(tmp_path):
    steps = lineage(tmp_path / "mobilenet.safetensors", {"source": "IMAGENET1K_V1", "sha256": "ab"})
    assert steps == [{"run": None, "weights": {"source": "IMAGENET1K_V1", "sha256": "ab"}}]
    assert lineage(None, None) == []


def test_a_warning_names_the_ratio_of_image_sizes_when_it_is_large():
    imagenet = Preprocessing(224, 256)
    assert scale_warning(imagenet, 224, None) is None
    assert scale_warning(imagenet, 160, None) is None
    assert "0.29 times the 224 px" in scale_warning(imagenet, 64, None)
    assert "2 times the 224 px" in scale_warning(imagenet, 448, None)
    assert "32 px are enlarged to 224 px, with 0.14 times the detail" in scale_warning(imagenet, 224, 32)


def test_equal_preprocessing_needs_no_note():
    assert preprocessing_note(Preprocessing(64, 64), Preprocessing(224, 256)) is None
    other = Preprocessing(224, 256, interpolation="bicubic")
    assert "interpolation bicubic (usual: bilinear)" in preprocessing_note(other, Preprocessing(224, 256))


@pytest.mark.parametrize("config", [{}, {"dataset": "digits", "model": None}, "none"])
def test_a_source_whose_summary_another_version_wrote_has_a_lineage_with_unknown_names(tmp_path, config):
    (tmp_path / "summary.json").write_text(json.dumps({"config": config, "metrics": [], "lineage": [{"step": 1}]}))
    steps = lineage(tmp_path / "best.pt", {"source": "vision2 checkpoint", "sha256": "abc"})
    assert describe_lineage(steps) == "lineage: ? on ? (?, seed ?)"


@pytest.mark.parametrize("saved", [{}, {"dataset": 1}, {"dataset": {}}, {"train": {"rate": 1}}])
def test_a_checkpoint_with_a_configuration_of_another_version_is_refused(saved):
    overrides = ["mode=eval", "checkpoint=best.pt", "dataset=digits"]
    with pytest.raises(UserError, match=r"use the version that wrote it|does not exist"):
        config_of_checkpoint(saved, compose_config(overrides), overrides)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: [", b"[1, 2]"])
def test_a_run_whose_configuration_is_not_readable_cannot_be_resumed(tmp_path, content):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match="start a new run") as caught:
        config_of_run(str(tmp_path), [])
    assert "\n" not in str(caught.value)
