from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from vision2.advise import main
from vision2.basics.errors import UserError
from vision2.config.compose import load_config
from vision2.data.dataset import Split
from vision2.data.settings import DatasetConfig
from vision2.data.store.image_sources import ArrayImages
from vision2.experiment import run
from vision2.features.advice import Evidence, advise
from vision2.features.evidence import measure_evidence, sample_of
from vision2.jobs.check_advice import check_advice
from vision2.jobs.run_job import Outcome
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig

TINY = ["dataset=digits", "dataset.fraction=0.2", "device=cpu", "dataset.image_size_px=16"]


def evidence(per_class, probes, untrained):
    names = [*(f"layer{i}" for i in range(1, len(probes))), "last"]
    scores = {
        name: {"h_score": 1.0, "log_me": 0.0, "knn_accuracy": p, "probe_accuracy": p}
        for name, p in zip(names, probes, strict=True)
    }
    return Evidence(per_class, per_class, 10, 500, scores, {**scores["last"], "probe_accuracy": untrained})


@pytest.mark.parametrize(
    ("per_class", "probes", "case", "settings"),
    [
        (100, (0.6, 0.7, 0.95), "a", "strategy.layer=last"),
        (100, (0.6, 0.9, 0.70), "b", "strategy.layer=layer2"),
        (5000, (0.6, 0.7, 0.95), "c", "strategy.backbone_lr_scale=0.1"),
        (5000, (0.6, 0.9, 0.70), "d", "strategy.backbone_lr_scale=1.0"),
    ],
)
def test_the_four_cases_of_the_lecture(per_class, probes, case, settings):
    advice = advise(evidence(per_class, probes, untrained=0.4))
    assert advice.case == case
    assert settings in advice.settings
    assert advice.strategy == ("feature_extraction" if case in "ab" else "finetune")


def test_features_hardly_better_than_untrained_ones_mean_different_data():
    assert not evidence(100, (0.5, 0.6, 0.62), untrained=0.6).similar


def test_reasons_contain_their_numbers_and_what_would_change_the_advice():
    advice = advise(evidence(100, (0.6, 0.7, 0.95), untrained=0.4))
    reasons = " ".join(advice.because)
    assert "95.0%" in reasons
    assert "40.0%" in reasons
    assert "92%" in reasons  # 1 - 0.05 / 0.60
    assert "10.0 times" in advice.unless[0]


def test_the_sample_is_as_even_over_the_classes_as_possible():
    labels = np.array([0] * 90 + [1] * 10)
    images = ArrayImages([np.zeros((1, 1, 3), dtype=np.uint8)] * 100)
    part = sample_of(Split("train", labels, tuple(map(str, range(100))), images), 30, seed=0)
    assert np.bincount(part.labels).tolist() == [20, 10]
    assert all(labels[int(name)] == label for name, label in zip(part.ids, part.labels, strict=True))


def test_a_class_with_one_training_image_is_refused_with_its_name_and_the_settings_to_change():
    labels = np.array([0] * 30 + [1])
    images = ArrayImages([np.zeros((1, 1, 3), dtype=np.uint8)] * 31)
    data = SimpleNamespace(train=Split("train", labels, tuple(map(str, range(31))), images), classes=("cat", "dog"))
    network = build_model(ModelConfig("resnet20"), 2, seed=0)
    sentence = r"at least 2 training images per class, but 'dog' has 1; use more of its images .*dataset\.shots_per_class"
    with pytest.raises(UserError, match=sentence):
        measure_evidence(data, network, network, model=ModelConfig("resnet20"), dataset=DatasetConfig(), sample=20, seed=0)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    run(load_config([*TINY, "train.epochs=2", "train.batch_size=32"]), lambda: folder, "")
    return folder


def test_advice_prints_the_command_and_the_check_reports_whether_it_was_right(source, tmp_path, capsys, monkeypatch):
    words = [*TINY, f"strategy.source={source}", f"output_dir={tmp_path}", "sample=150", "check=true", "train.epochs=1"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "python -m vision2.train dataset=digits" in printed
    record = json.loads((tmp_path / "advice" / "digits-resnet20.json").read_text())
    assert record["advice"]["case"] in "ab"
    assert record["check"]["verdict"] in ("right", "not shown to be wrong", "wrong")
    assert {row["name"] for row in record["check"]["candidates"]} == {"scratch", "feature_extraction", "finetune"}
    assert set(record["check"]["rank_correlation"]) == {"h_score", "log_me", "knn_accuracy", "probe_accuracy"}
    assert f"the advice ({record['advice']['strategy']}) was {record['check']['verdict']}" in printed


def test_a_check_in_which_no_candidate_could_be_trained_says_why(monkeypatch):
    outcome = Outcome("failed", None, 2, "out of memory; lower train.batch_size")
    monkeypatch.setattr("vision2.jobs.check_advice.run_recorded", lambda *_: outcome)
    measured = evidence(100, (0.6, 0.7, 0.95), untrained=0.4)
    with pytest.raises(UserError, match=r"no candidate could be trained: out of memory; lower train\.batch_size"):
        check_advice(["model=resnet18"], advise(measured), measured)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["strategy=finetune"], "strategy is chosen by this command; leave 'strategy=finetune' out"),
        (["sample=5"], "sample is 5; it must be at least 20"),
        ([], "has no published weights"),
        (["model=mobilenet_v2", "dataset.split_by=class"], "the advice is for classes that are trained on"),
        (["model=resnet18", "strategy.pretrained=false"], "strategy.pretrained=false; leave out strategy.pretrained"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(words, sentence, capsys):
    assert main([*TINY, *words]) == 2
    assert sentence in capsys.readouterr().err
