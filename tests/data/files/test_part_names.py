import pytest

from vision2.data.files.part_names import folded, is_fold, part_of


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Train", "train"),
        ("training_set", "train"),
        ("train_images", "train"),
        ("seg_train", "train"),
        ("train2017", "train"),
        ("Entrenamiento", "train"),
        ("entraînement", "train"),
        ("validación", "val"),
        ("valid", "val"),
        ("validation-set", "val"),
        ("Prueba", "test"),
        ("conjunto de prueba", "test"),
        ("test1", "test"),
        ("trainer", None),
        ("train station", None),
        ("train test", None),
        ("holdout", None),
        ("犬", None),
    ],
)
def test_split_folders_are_recognised_by_the_names_people_give_them(name, part):
    assert part_of(name) == part


def test_fold_folders_are_recognised():
    assert all(map(is_fold, ("fold1", "Fold_2", "fold-03", "pliegue 1")))
    assert not any(map(is_fold, ("folding chair", "fold", "blindfold_1")))


def test_names_that_people_cannot_tell_apart_are_equal_when_folded():
    assert folded("Golden  Delicious") == folded("golden_delicious") == folded("GOLDEN-DELICIOUS ")
    assert folded("cafe\u0301") == folded("caf\u00e9")
    assert folded("cat") != folded("cats")
