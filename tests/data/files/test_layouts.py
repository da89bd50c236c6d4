import os

import pytest
from made_up_images import class_folders, encoded, write_images, zip_of

from vision2.basics.errors import UserError
from vision2.data.datasets import find_collection
from vision2.data.datasets.cats_vs_dogs import class_of, read_cats_and_dogs
from vision2.data.files.layouts import read_layout
from vision2.data.settings import DatasetConfig


def found(collection):
    """{id: (class, part)}"""
    names = [collection.classes[label] for label in collection.labels]
    return dict(zip(collection.ids, zip(names, collection.parts.tolist(), strict=True), strict=True))


def test_class_folders_give_their_names_and_no_split(tmp_path):
    write_images(tmp_path, ["oak/1.jpg", "oak/deep/er/2.PNG", "ash/3.jpeg"])
    assert found(read_layout(tmp_path)) == {
        "ash/3.jpeg": ("ash", ""),
        "oak/1.jpg": ("oak", ""),
        "oak/deep/er/2.PNG": ("oak", ""),
    }


def test_split_folders_are_recognised_by_any_usual_name(tmp_path):
    write_images(tmp_path, ["Train/a/1.jpg", "Train/b/2.jpg", "valid/a/3.jpg", "valid/b/3.jpg", "testing/b/4.jpg"])
    collection = read_layout(tmp_path)
    assert set(collection.parts.tolist()) == {"train", "val", "test"}
    assert found(collection)["testing/b/4.jpg"] == ("b", "test")
    assert collection.notes["missing_classes"] == {"test": ["a"]}


def test_a_class_called_train_is_not_a_split(tmp_path):
    write_images(tmp_path, ["train/1.jpg", "bus/2.jpg"])
    assert read_layout(tmp_path).classes == ("bus", "train")


def test_outer_folders_that_hold_everything_are_skipped(tmp_path):
    write_images(tmp_path, ["flower_photos/rose/1.jpg", "flower_photos/tulip/2.jpg"])
    assert read_layout(tmp_path).classes == ("rose", "tulip")


def test_hidden_entries_are_neither_images_nor_classes(tmp_path):
    names = ["a/1.jpg", "b/2.jpg", ".ipynb_checkpoints/3.jpg", "__MACOSX/a/._1.jpg", "a/.hidden.jpg"]
    write_images(tmp_path, names)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "b" / "Thumbs.db").write_bytes(b"x")
    assert set(found(read_layout(tmp_path))) == {"a/1.jpg", "b/2.jpg"}


def test_a_zip_reads_like_its_folder(tmp_path):
    write_images(tmp_path / "in", ["set/train/a/1.jpg", "set/train/b/2.jpg", "set/test/a/3.jpg", "set/__MACOSX/._1.jpg"])
    packed = read_layout(zip_of(tmp_path / "in", tmp_path / "set.zip"))
    plain = read_layout(tmp_path / "in")
    assert found(packed) == found(plain)
    assert packed.files[0].read_bytes() == plain.files[0].read_bytes()
    assert packed.files[0].size_bytes() == plain.files[0].size_bytes()


def test_csv_lists_are_read_with_and_without_a_split(tmp_path):
    write_images(tmp_path, ["x/1.jpg", "x/2.jpg", "3.jpg"])
    (tmp_path / "plain.csv").write_text("path,label\nx/1.jpg,oak\n3.jpg,ash\n")
    (tmp_path / "split.csv").write_text("path,label,split\nx/1.jpg,oak,train\n3.jpg,ash,train\nx/2.jpg,oak,validation\n")
    assert found(read_layout(tmp_path / "plain.csv")) == {"3.jpg": ("ash", ""), "x/1.jpg": ("oak", "")}
    assert found(read_layout(tmp_path / "split.csv"))["x/2.jpg"] == ("oak", "val")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_list_with_the_delimiter_of_another_countrys_spreadsheet_is_read(tmp_path, delimiter):
    write_images(tmp_path, ["x/1.jpg", "3.jpg"])
    text = "path,label\nx/1.jpg,oak\n3.jpg,ash\n".replace(",", delimiter)
    (tmp_path / "l.csv").write_text("\ufeff" + text, encoding="utf-8")
    assert found(read_layout(tmp_path / "l.csv")) == {"3.jpg": ("ash", ""), "x/1.jpg": ("oak", "")}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,kind\n1.jpg,a\n", "first line 'path,label'"),
        ("path,label\n", "first line 'path,label'"),
        ("path,label\n1.jpg,\n", "line 2"),
        ("path,label,split\n1.jpg,a,tran\n", "line 2: needs a path, a label and a split"),
        ("path,label\n1.jpg,a\nno.jpg,b\n", "1 of the files listed in l.csv do not exist"),
        ("path,label\n1.jpg,a\n1.jpg,b\n", "more than once"),
    ],
)
def test_a_wrong_csv_list_names_the_line_or_file(tmp_path, text, says):
    write_images(tmp_path, ["1.jpg"])
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(UserError, match=says):
        read_layout(tmp_path / "l.csv")


def test_a_class_that_only_test_has_is_an_error_with_a_suggestion(tmp_path):
    write_images(tmp_path, ["train/rose/1.jpg", "train/tulip/1.jpg", "test/roses/1.jpg"])
    with pytest.raises(UserError, match="'roses', which the train split lacks, did you mean 'rose'"):
        read_layout(tmp_path)


def test_a_wrong_root_names_the_nearest_folder_and_what_it_holds(tmp_path):
    (tmp_path / "flowers").mkdir()
    with pytest.raises(UserError, match=rf"nearest existing folder is {tmp_path} \(it holds flowers\)"):
        read_layout(tmp_path / "flower" / "photos")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["cat/1.jpg", "cat/2.jpg"], "only one class"),
        (["1.jpg", "2.jpg"], "no class folders"),
        (["readme/notes.txt"], "no images found"),
    ],
)
def test_folders_without_two_classes_are_refused(tmp_path, names, says):
    with pytest.raises(UserError, match=says):
        read_layout(write_images(tmp_path, names))


def test_an_empty_class_folder_is_refused_by_name(tmp_path):
    class_folders(tmp_path, ash=2, oak=2)
    (tmp_path / "elm").mkdir()
    with pytest.raises(UserError, match="no images in the class folder elm"):
        read_layout(tmp_path)


def test_an_empty_class_folder_below_train_is_refused(tmp_path):
    write_images(tmp_path, ["train/a/1.jpg", "train/b/1.jpg", "test/a/1.jpg"])
    (tmp_path / "train" / "c").mkdir()
    with pytest.raises(UserError, match="no images in the class folder c"):
        read_layout(tmp_path)


def test_an_unreadable_folder_is_named(tmp_path, monkeypatch):
    class_folders(tmp_path, ash=1, oak=1)
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("oak"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(UserError, match=r"cannot read the folder .*oak: Permission denied"):
        read_layout(tmp_path)


def test_a_root_with_a_packed_archive_names_it(tmp_path):
    (tmp_path / "train.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"only train\.zip: give that file"):
        read_layout(tmp_path)


def test_a_broken_zip_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK nonsense")
    with pytest.raises(UserError, match="as a zip archive"):
        read_layout(tmp_path / "a.zip")


def test_a_loop_of_links_ends_and_linked_classes_count(tmp_path):
    class_folders(tmp_path / "real", ash=1)
    class_folders(tmp_path / "root", oak=1)
    (tmp_path / "root" / "ash").symlink_to(tmp_path / "real" / "ash")
    (tmp_path / "root" / "oak" / "up").symlink_to(tmp_path / "root")
    assert read_layout(tmp_path / "root").classes == ("ash", "oak")


def test_a_damaged_zip_member_is_an_os_error(tmp_path):
    data = encoded(1)
    packed = zip_of(write_images(tmp_path / "in", ["a/1.jpg", "b/1.jpg"]), tmp_path / "x.zip")
    content = bytearray(packed.read_bytes())
    content[200:220] = bytes(20)
    packed.write_bytes(content)
    with pytest.raises(OSError, match="cannot be unpacked"):
        read_layout(packed).files[0].read_bytes()
    assert data


def test_dataset_folder_without_a_root_says_what_to_type():
    with pytest.raises(UserError, match=r"dataset\.root="):
        find_collection(DatasetConfig(name="folder"))


CATS_AND_DOGS = {
    "microsoft": ["PetImages/Cat/0.jpg", "PetImages/Cat/1.jpg", "PetImages/Dog/0.jpg"],
    "kaggle flat": ["train/cat.0.jpg", "train/cat.1.jpg", "train/dog.0.jpg"],
    "class folders": ["cats/a.jpg", "cats/b.jpg", "dogs/a.jpg"],
    "spanish": ["gatos/a.jpg", "gatos/b.jpg", "perros/a.jpg"],
}


@pytest.mark.parametrize("layout", CATS_AND_DOGS)
@pytest.mark.parametrize("packed", [False, True])
def test_cats_and_dogs_are_read_in_every_layout_people_have(tmp_path, layout, packed):
    root = write_images(tmp_path / "in", CATS_AND_DOGS[layout])
    collection = read_cats_and_dogs(zip_of(root, tmp_path / "x.zip") if packed else root)
    assert collection.classes == ("cat", "dog")
    assert sorted(collection.labels.tolist()) == [0, 0, 1]


def test_cats_and_dogs_in_several_places_are_not_mixed(tmp_path):
    names = ["photos/cat/1.jpg", "photos/dog/1.jpg", "train/cat/2.jpg", "train/dog/2.jpg"]
    own = r"both directly in it and in photos, .*: give photos as dataset\.root, or move it out of this folder$"
    with pytest.raises(UserError, match=own):
        read_cats_and_dogs(write_images(tmp_path / "in", names))
    with pytest.raises(UserError, match=r"in several places \(a, b\), .*: give one of them as dataset\.root$"):
        read_cats_and_dogs(write_images(tmp_path / "two", ["a/cat/1.jpg", "a/dog/1.jpg", "b/cat/2.jpg", "b/dog/2.jpg"]))


def test_cats_and_dogs_in_several_places_of_a_zip_must_be_unpacked_first(tmp_path):
    root = write_images(tmp_path / "in", ["photos/cat/1.jpg", "photos/dog/1.jpg", "train/cat/2.jpg", "train/dog/2.jpg"])
    with pytest.raises(UserError, match=r"unpack it, then give photos as dataset\.root"):
        read_cats_and_dogs(zip_of(root, tmp_path / "x.zip"))


def test_cats_and_dogs_in_split_folders_keep_their_split(tmp_path):
    names = ["c/train/cats/1.jpg", "c/train/dogs/1.jpg", "c/validation/cats/2.jpg", "c/validation/dogs/2.jpg"]
    assert found(read_cats_and_dogs(write_images(tmp_path, names)))["c/validation/dogs/2.jpg"] == ("dog", "val")


def test_kaggles_unlabelled_test_images_are_counted_and_not_used(tmp_path):
    collection = read_cats_and_dogs(write_images(tmp_path, ["train/cat.0.jpg", "train/dog.0.jpg", "test1/1.jpg"]))
    assert collection.notes["unlabelled"] == 1
    assert len(collection) == 2


def test_the_nearest_folder_names_the_animal():
    assert class_of("dogs_and_more/cat/dog.1.jpg") == "cat"
    assert class_of("catalogue.1.jpg") is None


def test_other_classes_are_referred_to_the_folder_data_set(tmp_path):
    with pytest.raises(UserError, match="use dataset=folder"):
        read_cats_and_dogs(class_folders(tmp_path, rose=1, tulip=1))
