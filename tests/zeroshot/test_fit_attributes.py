"""Runs of strategy=eszsl: they learn nothing from unseen classes, and evaluate, resume and start from pretrained weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vision2.basics.errors import UserError
from vision2.config.compose import load_config
from vision2.config.saved import config_of_run
from vision2.experiment import run
from vision2.features.classifiers import Labelled
from vision2.jobs.evaluate import evaluate
from vision2.training.checkpoint import load_checkpoint
from vision2.zeroshot.attributes import read_attributes
from vision2.zeroshot.fit_attributes import fit_eszsl

TINY = ["device=cpu", "dataset.image_size_px=16", "dataset.fraction=0.3", "train.epochs=1", "train.batch_size=32"]
ESZSL = [*TINY, "strategy=eszsl", "strategy.attributes=seven_segments", "dataset.unseen=[3,8]"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, run(load_config(ESZSL), lambda: folder, "the command")


def test_the_summary_has_both_settings_with_their_chance_levels(finished):
    _, summary = finished
    found = summary["metrics"]["test"]["zero_shot"]
    assert found["classes"] == [3, 8]
    assert found["unseen"]["chance"] == 0.5
    assert found["generalised"]["chance"] == 0.1
    assert found["unseen"]["n"] + found["generalised"]["seen"]["n"] == summary["metrics"]["test"]["n"]
    assert summary["classifier"]["name"] == "eszsl"
    assert set(summary["classifier"]["chosen"]) == {"gamma", "lambda"}
    assert summary["data"]["counts"]["train"]["3"] == summary["data"]["counts"]["val"]["8"] == 0


def test_the_checkpoint_evaluates_to_the_same_accuracy_over_all_classes(finished):
    folder, summary = finished
    again = evaluate(load_config(["mode=eval", f"checkpoint={folder}", *ESZSL]))
    assert again["metrics"]["test"]["accuracy"] == summary["metrics"]["test"]["accuracy"]


def test_a_resumed_run_keeps_the_network_and_the_classifier(finished):
    folder, summary = finished
    before = load_checkpoint(folder / "best.pt")["model"]
    again = run(config_of_run(folder, []), lambda: folder, "the command")
    assert again["metrics"]["test"] == summary["metrics"]["test"]
    after = load_checkpoint(folder / "best.pt")["model"]
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_pretrained_backbone_stays_as_it_was(finished, tmp_path):
    source, _ = finished
    config = load_config([*ESZSL, "strategy.pretrained=true", f"strategy.source={source}"])
    run(config, lambda: tmp_path, "the command")
    before, after = (load_checkpoint(folder / "best.pt")["model"] for folder in (source, tmp_path))
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("backbone."))


def test_the_head_scores_every_class_by_the_paper_s_bilinear_form():
    """Against the formula written with NumPy on standardised features."""
    rng, attributes, seen = np.random.default_rng(0), read_attributes("seven_segments", tuple("0123456789")), np.arange(8)
    x, y = torch.from_numpy(rng.normal(size=(80, 6))).float(), torch.arange(80) % 8
    fitted = fit_eszsl(Labelled(x, y), Labelled(x, y), attributes, seen, held_out=2, seed=0)
    head, s = fitted.head, attributes.signatures()
    z = (((x - head.mean) / head.std).double() / 6**0.5).numpy()
    targets = 2 * np.eye(8)[y] - 1
    gamma, lambda_ = fitted.chosen["gamma"] * 80, fitted.chosen["lambda"] * 8
    left, right = np.linalg.inv(z.T @ z + gamma * np.eye(6)), np.linalg.inv(s[:8].T @ s[:8] + lambda_ * np.eye(7))
    expected = z @ left @ z.T @ targets @ s[:8] @ right @ s.T
    scores = head(x).detach().numpy() / float(head.scale)
    assert scores == pytest.approx(expected, rel=1e-3, abs=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([*ESZSL[:-1]], "strategy=eszsl needs classes to leave out of training"),
        (
            [*ESZSL[:-1], "dataset.unseen_drawn=7"],
            "7 of the 10 classes are unseen, but strategy=eszsl needs at least 4 seen ones; leave out fewer",
        ),
        (
            [*TINY, "strategy=eszsl", "strategy.attributes=null", "dataset.unseen_drawn=2"],
            "strategy=eszsl needs strategy.attributes=FILE.csv",
        ),
        ([*ESZSL, "strategy.classifier=knn"], "strategy.classifier=knn has no effect on strategy=eszsl; leave it out"),
        ([*ESZSL, "dataset.classes=[1,3,5,8,9]"], "but strategy=eszsl needs .* ones; use a data set with at least 6 classes"),
        ([*ESZSL[:-1], "dataset.split_by=class"], "leaves out classes with dataset.unseen; leave out dataset.split_by=class"),
        ([*ESZSL, "strategy.attributes=absent.csv"], "absent.csv cannot be read"),
        ([*TINY, "strategy.attributes=seven_segments"], "applies only to strategy=eszsl"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(words, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        run(load_config(words), lambda: tmp_path / "run", "the command")
    assert not (tmp_path / "run").exists()
