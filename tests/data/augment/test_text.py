import pytest

from vision2.data.augment.text import describe_augment, flip_question
from vision2.data.settings import AugmentConfig


def test_an_augmentation_is_described_in_words():
    assert describe_augment(AugmentConfig()) == "random_resized 0.35.., flip"
    assert describe_augment(AugmentConfig(crop="pad", flip=False, mixup=0.2, erasing=0.5)) == "pad 4 px, erasing 0.5, mixup 0.2"
    assert describe_augment(AugmentConfig(crop="none", flip=False)) == "none"


@pytest.mark.parametrize(
    "classes",
    [
        ("turn_left", "turn_right", "stop"),
        ("Izquierda", "Derecha"),
        ("mano izquierda", "mano derecha"),
        ("a", "b", "c", "d"),
        ("P", "Q"),
        ("0", "1", "2"),
        tuple("0123456789"),
    ],
)
def test_mirroring_is_questioned_where_sides_matter(classes):
    assert "dataset.augment.flip=false" in flip_question(AugmentConfig(), classes)
    assert flip_question(AugmentConfig(flip=False), classes) is None


@pytest.mark.parametrize("classes", [("cat", "dog"), ("bright", "leftover"), ("a", "b"), ("cat 1", "cat 2"), ("101", "202")])
def test_mirroring_is_not_questioned_elsewhere(classes):
    assert flip_question(AugmentConfig(), classes) is None
