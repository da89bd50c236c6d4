"""Folder trees as users have them: which are splits, which are classes, and what is asked if it is unclear."""

import pytest
from made_up_images import write_images

from vision2.basics.errors import UserError
from vision2.data.files.layouts import read_layout
from vision2.data.settings import DatasetConfig


def read(root, names, **settings):
    return read_layout(write_images(root, names), DatasetConfig(name="folder", **settings))


def found(collection):
    """{id: (class, part)}"""
    names = [collection.classes[label] for label in collection.labels]
    return dict(zip(collection.ids, zip(names, collection.parts.tolist(), strict=True), strict=True))


FRUIT = ["Fruit/Apple/Golden/1.jpg", "Fruit/Apple/Gala/1.jpg", "Fruit/Pear/1.jpg", "Root/Beet/Red/1.jpg", "Root/Beet/2.jpg"]


@pytest.mark.parametrize(
    ("level", "classes"),
    [
        (None, ("Fruit", "Root")),
        ("top", ("Fruit", "Root")),
        ("1", ("Fruit", "Root")),
        ("2", ("Fruit/Apple", "Fruit/Pear", "Root/Beet")),
        ("leaf", ("Beet", "Gala", "Golden", "Pear", "Red")),
    ],
)
@pytest.mark.parametrize("above", ["", "train/"])
def test_the_level_of_the_class_folders_is_a_choice(tmp_path, level, classes, above):
    assert read(tmp_path, [above + name for name in FRUIT], class_level=level).classes == classes


def test_folders_merged_below_a_class_are_counted(tmp_path):
    notes = read(tmp_path, FRUIT).notes
    assert notes["leaf_folders"] == {"Fruit": 3, "Root": 2}
    assert notes["leaf_example"] == "Fruit/Apple/Gala"
    assert notes["finer_level"] == "leaf"


def test_a_level_is_proposed_if_leaf_folders_in_several_places_share_a_name(tmp_path):
    names = ["Arcadian/sign1/1.jpg", "Arcadian/sign2/1.jpg", "Sanskrit/sign1/1.jpg", "Latin/sign9/1.jpg"]
    assert read(tmp_path, names).notes["finer_level"] == "2"


def test_leaf_folders_with_the_same_name_are_one_class_and_noted(tmp_path):
    collection = read(tmp_path, ["Fruit/Red/1.jpg", "Root/Red/1.jpg", "Root/White/1.jpg"], class_level="leaf")
    assert collection.classes == ("Red", "White")
    assert collection.notes["merged_leaves"] == {"Red": 2}


def test_images_above_the_level_are_outside_and_counted_by_folder(tmp_path):
    collection = read(tmp_path, [*FRUIT, "Fruit/x.jpg", "y.jpg"], class_level="2")
    assert collection.notes["outside_class_folders"] == 2
    assert collection.notes["outside_folders"] == {"Fruit": 1, ".": 1}


def test_a_level_deeper_than_the_folders_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"class_level=5: .* only down to level 3; set it to at most 3"):
        read(tmp_path, FRUIT, class_level="5")


def test_an_invalid_level_is_refused_before_anything_is_read():
    from vision2.data.datasets import problems

    (said,) = problems(DatasetConfig(name="folder", root="x", class_level="bottom"))
    assert "must be top, leaf or the number of levels" in said


LAYOUTS = {
    "other names": (["Training Set/a/1.jpg", "Training Set/b/1.jpg", "Validation Set/a/2.jpg"], {"train", "val"}),
    "spanish": (["entrenamiento/a/1.jpg", "entrenamiento/b/1.jpg", "validación/a/2.jpg", "prueba/b/3.jpg"], None),
    "nested twice": (["data/v1/train/a/1.jpg", "data/v1/train/b/1.jpg", "data/v1/test/a/1.jpg"], {"train", "test"}),
    "repeated": (["seg_train/seg_train/a/1.jpg", "seg_train/seg_train/b/1.jpg", "seg_test/seg_test/a/1.jpg"], None),
    "wrapped below": (["train/images/a/1.jpg", "train/images/b/1.jpg", "val/images/a/1.jpg"], {"train", "val"}),
    "a stray file": (["photos/train/a/1.jpg", "photos/train/b/1.jpg", "photos/val/a/1.jpg", "cover.jpg"], None),
    "splits below": (["a/train/1.jpg", "b/train/1.jpg", "a/test/2.jpg", "b/test/2.jpg"], {"train", "test"}),
    "beside unlabelled": (["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "test/1.jpg", "test/2.jpg"], {"train", "val"}),
    "a dummy folder": (["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "test/unknown/1.jpg"], {"train", "val"}),
    "predictions": (["seg_train/a/1.jpg", "seg_train/b/1.jpg", "seg_test/a/1.jpg", "seg_pred/1.jpg"], {"train", "test"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_splits_are_recognised_at_any_usual_level(tmp_path, layout):
    names, parts = LAYOUTS[layout]
    collection = read(tmp_path, names)
    assert collection.classes == ("a", "b")
    assert set(collection.parts.tolist()) == (parts or set(collection.parts.tolist()))
    assert "train" in collection.parts
    assert len(collection) + collection.notes["outside_class_folders"] == len(names)


def test_unlabelled_images_next_to_labelled_splits_are_counted_by_folder(tmp_path):
    assert read(tmp_path, LAYOUTS["beside unlabelled"][0]).notes["outside_folders"] == {"test": 2}


def test_a_wrapper_next_to_a_stray_file_is_skipped(tmp_path):
    collection = read(tmp_path, ["flowers/rose/1.jpg", "flowers/tulip/1.jpg", "cover.jpg"])
    assert collection.classes == ("rose", "tulip")
    assert collection.notes["outside_folders"] == {".": 1}


def test_outer_folders_that_hold_the_same_are_asked_about(tmp_path):
    names = [f"{site}/{kind}/1.jpg" for site in ("Berlin", "Lima") for kind in ("cat", "dog")]
    with pytest.raises(UserError) as caught:
        read(tmp_path, names)
    assert "the folders Berlin, Lima in" in str(caught.value)
    assert "all hold the folders cat, dog: which are the classes?" in str(caught.value)
    assert read(tmp_path, names, class_level="leaf").classes == ("cat", "dog")
    assert read(tmp_path, names, class_level="top").classes == ("Berlin", "Lima")
    assert read(tmp_path, names, class_level="2").classes == ("Berlin/cat", "Berlin/dog", "Lima/cat", "Lima/dog")


def test_folds_are_asked_about_with_the_pattern_that_keeps_them_whole(tmp_path):
    from vision2.data.splits import find_groups

    names = [f"set/fold_{fold}/{kind}/1.jpg" for fold in range(3) for kind in ("cat", "dog")]
    with pytest.raises(UserError, match=r"are folds: set dataset\.class_level=leaf") as caught:
        read(tmp_path, names)
    pattern = str(caught.value).partition("group_pattern='")[2].partition("'")[0]
    collection = read(tmp_path, names, class_level="leaf")
    assert find_groups(collection.ids, pattern)[1] == {"pattern": pattern, "groups": 3, "files_without_group": 0}


def test_classes_that_share_one_folder_name_are_not_asked_about(tmp_path):
    assert read(tmp_path, ["cat/images/1.jpg", "dog/images/1.jpg"]).classes == ("cat", "dog")


def test_classes_are_sorted_numerically_if_all_are_numbers(tmp_path):
    assert read(tmp_path / "a", ["10/1.jpg", "2/1.jpg", "1/1.jpg"]).classes == ("1", "2", "10")
    assert read(tmp_path / "b", ["10/1.jpg", "2/1.jpg", "x/1.jpg"]).classes == ("10", "2", "x")


def test_class_names_in_two_forms_of_unicode_are_one_class(tmp_path):
    collection = read(tmp_path, ["train/cafe\u0301/1.jpg", "train/te/1.jpg", "test/caf\u00e9/1.jpg"])
    assert collection.classes == ("caf\u00e9", "te")
    assert "similar_classes" not in collection.notes


def test_names_that_differ_only_in_case_and_spaces_are_noted(tmp_path):
    assert read(tmp_path, ["Red  Rose/1.jpg", "red_rose/1.jpg", "oak/1.jpg"]).notes["similar_classes"] == [
        ["Red  Rose", "red_rose"]
    ]


@pytest.mark.parametrize("name", ["a b", "it's", 'say "x"', "k=v", "a,b", "#1", "🐈", "[x]", "{y}"])
def test_any_character_may_be_in_a_class_and_a_path(tmp_path, name):
    collection = read(tmp_path / name, [f"{name}/{name}.jpg", "oak/1.jpg"])
    assert name in collection.classes
    assert len(collection.files[0].read_bytes()) > 100


def test_an_empty_class_folder_is_found_in_every_layout(tmp_path):
    write_images(tmp_path, ["data/train/train/a/1.jpg", "data/train/train/b/1.jpg"])
    (tmp_path / "data" / "train" / "train" / "c").mkdir()
    (tmp_path / "data" / "train" / "train" / "c" / "x.jxl").write_bytes(b"x")
    with pytest.raises(UserError, match=r"no images in the class folder c of .*1 \.jxl \(JPEG XL"):
        read_layout(tmp_path)
