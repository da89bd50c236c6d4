from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from vision2.basics.errors import UserError
from vision2.config.compose import load_config
from vision2.data.episodes import EVALUATION, Episodes, Shape
from vision2.experiment import run
from vision2.features.learning_curves import check_shots, draw_support, episode_accuracies, learning_curves
from vision2.few_shot import main

TINY = ["dataset=digits", "device=cpu", "dataset.image_size_px=16"]


def blobs(n, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return np.eye(3)[labels] * 3 + rng.normal(size=(n, 3)), labels


def test_a_draw_has_equally_many_images_per_class_and_larger_draws_contain_smaller_ones():
    labels = np.repeat([0, 1, 2], [20, 30, 40])
    few, many = (draw_support(labels, shots, seed=1, draw=4) for shots in (2, 7))
    assert np.bincount(labels[many]).tolist() == [7, 7, 7]
    assert set(few) < set(many)
    assert set(few) != set(draw_support(labels, 2, seed=1, draw=5))
    assert set(few) != set(draw_support(labels, 2, seed=2, draw=4))


def test_the_interval_over_episodes_is_that_of_their_accuracies_and_all_classifiers_get_the_same_episodes():
    x, y = blobs(90, 0)
    shape = {"way": 2, "shots": [1, 5], "query": 4, "episodes": 12, "seed": 3}
    features = {"pretrained": x.astype(np.float32), "again": x.astype(np.float32)}
    points = list(episode_accuracies(features, y, ["centroid", "ridge"], **shape))
    assert [(p.features, p.classifier, p.shots) for p in points[:3]] == [
        ("pretrained", "centroid", 1),
        ("pretrained", "ridge", 1),
        ("again", "centroid", 1),
    ]
    assert points[0].draws == points[2].draws
    expected = []
    for episode in Episodes(y, Shape(2, 1, 4), seed=3).epoch(EVALUATION, 12):
        support, queries = x[episode.support[:, 0]], x[episode.query]
        nearest = np.square(queries[:, :, None] - support).sum(-1).argmin(-1)
        expected.append((nearest == [[0], [1]]).mean())
    assert points[0].draws == pytest.approx(expected)
    half = 2.201 * np.std(expected, ddof=1) / np.sqrt(12)  # t quantile for 11 degrees of freedom
    assert points[0].accuracy.high - points[0].accuracy.mean == pytest.approx(half, rel=1e-3)


def test_more_labels_help_and_the_interval_is_over_the_draws():
    (x, y), (queries, truth) = blobs(300, 0), blobs(200, 1)
    features = {"pretrained": (x.astype(np.float32), queries.astype(np.float32))}
    points = list(learning_curves(features, (y, truth), ["centroid", "logistic"], shots=[1, 50], draws=10, seed=0))
    by_key = {(point.classifier, point.shots): point for point in points}
    assert by_key["centroid", 50].accuracy.mean > by_key["centroid", 1].accuracy.mean
    one = by_key["logistic", 1]
    assert one.accuracy.mean == pytest.approx(np.mean(one.draws))
    half = 2.262 * np.std(one.draws, ddof=1) / np.sqrt(10)  # t quantile for 9 degrees of freedom
    assert one.accuracy.high - one.accuracy.mean == pytest.approx(half, rel=1e-3)


@pytest.mark.parametrize(
    ("shots", "sentence"),
    [
        ([1, 9], "shots includes 9, but class 'b' has 4 training images; give numbers up to 4"),
        ([0, 1], "shots includes 0; every number must be at least 1"),
    ],
)
def test_more_shots_than_a_class_has_images_or_none_are_refused(shots, sentence):
    with pytest.raises(UserError, match=sentence):
        check_shots(np.array([0] * 9 + [1] * 4), ["a", "b"], shots)


def test_the_command_prints_and_writes_a_curve_for_each_kind_of_features(tmp_path, capsys, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    run(load_config([*TINY, "dataset.fraction=0.3", "train.epochs=2", "train.batch_size=32"]), lambda: source, "")
    assert main([*TINY, f"strategy.source={source}", f"output_dir={tmp_path}", "shots=1,5", "draws=3"]) == 0
    printed = capsys.readouterr().out
    for name in ("pretrained, centroid_cosine", "untrained, logistic", "pixels, centroid_cosine"):
        assert name in printed
    folder = tmp_path / "few_shot" / "digits-resnet20"
    rows = json.loads((folder / "few_shot.json").read_text())
    assert len(rows) == 3 * 2 * 2
    assert (folder / "few_shot.png").stat().st_size > 5000
    words = [
        f"strategy.source={source}",
        f"output_dir={tmp_path}",
        "way=4",
        "shots=1",
        "query=6",
        "episodes=5",
        "classifiers=knn,centroid",
    ]
    assert main([*TINY, *words]) == 0
    printed = capsys.readouterr().out
    assert "4-way accuracy in percent, mean (95 % interval) over 5 episodes with 6 queries per class, drawn from 359" in printed
    rows = json.loads((folder / "episodes.json").read_text())
    assert {row["classifier"] for row in rows} == {"knn", "centroid"}
    assert [len(row["draws"]) for row in rows] == [5] * 3 * 2
    assert Image.open(folder / "episode.png").size[0] > 300


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model=resnet18", "shots=a"], "shots is 'a'; it must be whole numbers separated by commas, e.g. shots=1,5,20"),
        (["model=resnet18", "draws=0"], "draws is 0; it must be at least 1"),
        (["model=resnet18", "way=5", "draws=3"], "draws=3 has no effect with way=; leave it out"),
        (["model=resnet18", "query=3"], "query=3 has no effect without way=, the classes per episode; leave it out"),
        (["model=resnet18", "way=5", "episodes=0"], "episodes is 0; it must be at least 1"),
        (
            ["model=resnet18", "classifiers=ridge,knnn"],
            "classifiers: there is no 'knnn', did you mean 'knn'? (allowed: centroid",
        ),
        (["model=resnet18", "strategy.pretrained=false"], "strategy.pretrained=false; leave out strategy.pretrained"),
        ([], "has no published weights"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(words, sentence, capsys):
    assert main([*TINY, *words]) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1
