"""The command `zero_shot`: what it prints and writes, and mistakes in one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from vision2.jobs.run_job import describe_zero_shot
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.stats.zero_shot_scores import zero_shot_scores
from vision2.zero_shot import main

TINY = ["dataset=digits", "device=cpu", "dataset.image_size_px=16", "dataset.fraction=0.3", "train.epochs=1"]


def test_attributes_are_measured_for_each_pair_of_left_out_classes(tmp_path, capsys):
    assert main([*TINY, "model=resnet20", "seeds=0,1", f"output_dir={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert "chance: 50.0 % among the unseen, 10.0 % among all" in printed
    assert "the accuracy among the unseen classes is above chance: " in printed
    (file,) = tmp_path.rglob("zero_shot.json")
    runs = json.loads(file.read_text())["runs"]
    assert [row["seed"] for row in runs] == [0, 1]
    assert all(len(row["left_out"]) == 2 for row in runs)
    assert file.with_suffix(".png").stat().st_size > 5000


def test_names_combine_the_probabilities_of_the_network_s_own_classes(tmp_path, capsys):
    """A head of two classes whose names are digits: both are known, and each image goes to one of the two."""
    network = build_model(ModelConfig("resnet20"), 3, seed=0)
    torch.save(network.state_dict(), tmp_path / "three.pt")
    (tmp_path / "three.txt").write_text("zero\none\nteapot\n")
    numbers = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    lines = [f"{word} {index} {9 - index} 1\n" for index, word in enumerate(numbers)]
    (tmp_path / "vectors.txt").write_text("".join(lines))
    (tmp_path / "names.csv").write_text("class,name\n" + "".join(f"{i},{word}\n" for i, word in enumerate(numbers)))
    weights = [f"weights.path={tmp_path / 'three.pt'}", f"weights.classes={tmp_path / 'three.txt'}"]
    files = [f"vectors={tmp_path / 'vectors.txt'}", f"names={tmp_path / 'names.csv'}"]
    words = ["method=names", "dataset=digits", "device=cpu", "dataset.image_size_px=16", *weights, *files]
    assert main([*words, f"output_dir={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert "2 of these 10 names are among the 3 classes that the network knows" in printed
    assert "1 of its classes have no vector and are left out" in printed
    record = json.loads((tmp_path / "zero_shot" / "digits-resnet20-names" / "zero_shot.json").read_text())
    assert record["known"] == ["zero", "one"]
    assert sum(map(sum, record["confusion"])) == record["n"] == 359


def test_a_run_ends_with_the_accuracies_on_unseen_and_seen_classes():
    scores = zero_shot_scores(np.array([[9, 1, 0], [0, 5, 9], [8, 0, 7]]), np.array([0, 1, 2]), [1, 2])
    assert describe_zero_shot(scores, ["a", "b", "c"]) == (
        "unseen classes (b, c): accuracy 50.00% among themselves (95 % interval 9.45% to 90.55%, n = 2, chance 50.00%);"
        " among all classes 0.00%, seen classes 100.00%, harmonic mean 0.00%"
    )


def test_a_comma_at_the_end_of_the_unseen_classes_is_harmless(tmp_path):
    words = [*TINY, "train.epochs=0", "model=resnet20", "unseen=3, 8,"]
    assert main([*words, f"output_dir={tmp_path}"]) == 0
    (file,) = tmp_path.rglob("zero_shot.json")
    assert json.loads(file.read_text())["runs"][0]["left_out"] == ["3", "8"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["method=atributes"], "method is 'atributes', did you mean 'attributes'?"),
        (["seeds=a"], "seeds is 'a'; it must be whole numbers"),
        (["unseen=3"], "dataset.unseen names fewer than two classes"),
        (["attributes=absent.csv"], "absent.csv cannot be read"),
        (["unseen=3,x"], "there is no class 'x'"),
        (["unseen=3,8,[b"], "there is no class '[b'"),
        (["unseen=1,2,3,4,5,6,7"], "7 of the 10 classes are unseen, but strategy=eszsl needs at least 4 seen ones"),
        (["top=5"], "top=5 has no effect with method=attributes; leave it out"),
        (["method=names", "unseen=3,8", "model=resnet18"], "unseen=3,8 has no effect with method=names; leave it out"),
        (["strategy=scratch"], "'strategy=scratch' is set by method=attributes itself"),
        (["method=names", "top=0", "model=resnet18"], "top is 0; it must be at least 1"),
        (["method=image_text"], "method=image_text needs clip_weights=FILE"),
    ],
)
def test_mistakes_are_one_sentence_with_code_2(words, sentence, capsys, tmp_path):
    code = main(["dataset=digits", "device=cpu", f"output_dir={tmp_path / 'out'}", *words])
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == code - 1 == 1
    assert not (tmp_path / "out").exists()
