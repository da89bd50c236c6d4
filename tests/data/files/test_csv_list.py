"""Lists as spreadsheets and programs write them."""

import pytest
from made_up_images import write_images

from vision2.basics.errors import UserError
from vision2.data.files.layouts import read_layout
from vision2.data.files.unused import describe_unused
from vision2.data.settings import DatasetConfig


def read(root, text, **settings):
    (root / "l.csv").write_text(text, encoding="utf-8")
    collection = read_layout(root / "l.csv", DatasetConfig(name="folder", **settings))
    return dict(zip(collection.ids, (collection.classes[label] for label in collection.labels), strict=True))


@pytest.fixture
def photos(tmp_path):
    return write_images(tmp_path, ["x/1.jpg", "3.jpg", "a, b.jpg"])


EXPECTED = {"x/1.jpg": "oak", "3.jpg": "ash"}


@pytest.mark.parametrize(
    "text",
    [
        "path, label\nx/1.jpg, oak\n3.jpg,  ash \n",
        "path|label\nx/1.jpg|oak\n3.jpg|ash\n",
        "path label\nx/1.jpg oak\n3.jpg ash\n",
        '"path","label"\n"x/1.jpg","oak"\n"3.jpg","ash"\n',
        '"path", "label"\n"x/1.jpg", "oak"\n"3.jpg", "ash"\n',
        "'path','label'\n'x/1.jpg','oak'\n'3.jpg','ash'\n",
        "path,label\nx\\1.jpg,oak\n.\\3.jpg,ash\n",
        "Path,Label\r\nx/1.jpg,oak\r\n\r\n3.jpg,ash\r\n",
        "filename,class\nx/1.jpg,oak\n3.jpg,ash\n",
        "image_path,width,species\nx/1.jpg,48,oak\n3.jpg,48,ash\n",
    ],
)
def test_lists_are_read_however_they_are_written(photos, text):
    assert read(photos, text) == EXPECTED


def test_a_comma_in_a_quoted_name_or_class_is_kept(photos):
    assert read(photos, 'path,label\n"a, b.jpg","salt, pepper"\n3.jpg,ash\n') == {"a, b.jpg": "salt, pepper", "3.jpg": "ash"}


def test_other_columns_are_set_by_options(photos):
    text = "label,where,kind,fold\nx,x/1.jpg,oak,train\nx,3.jpg,ash,test\nx,a%2C b.jpg,ash,train\n".replace("%2C", "")
    text = text.replace("a b.jpg", '"a, b.jpg"')
    columns = {"csv_path_column": "where", "csv_label_column": "kind", "csv_split_column": "fold"}
    assert read(photos, text, **columns) == EXPECTED | {"a, b.jpg": "ash"}
    with pytest.raises(UserError, match=r"csv_label_column=kindd: .* has no column with that name, did you mean 'kind'"):
        read(photos, text, **columns | {"csv_label_column": "kindd"})


def test_absolute_paths_below_the_list_and_elsewhere_are_read(photos, tmp_path_factory):
    assert read(photos, f"path,label\n{photos}/x/1.jpg,oak\n{photos}/3.jpg,ash\n") == EXPECTED
    other = write_images(tmp_path_factory.mktemp("other"), ["s/1.jpg", "s/t/2.jpg"])
    assert read(photos, f"path,label\n{other}/s/1.jpg,oak\n{other}/s/t/2.jpg,ash\n") == {"1.jpg": "oak", "t/2.jpg": "ash"}


@pytest.mark.parametrize("labels", [("10", "2"), ("10.0", "2.0")])
def test_labels_that_are_numbers_are_classes_in_numerical_order(photos, labels):
    text = f"path,label\nx/1.jpg,{labels[0]}\n3.jpg,{labels[1]}\n"
    assert read(photos, text) == {"x/1.jpg": "10", "3.jpg": "2"}
    assert read_layout(photos / "l.csv").classes == ("2", "10")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,label\nx/1.jpg,oak|ash\n3.jpg,ash\na.jpg,oak\n", "oak|ash"),
        ("path;label\nx/1.jpg;oak,ash\n3.jpg;ash,elm\na.jpg;elm,oak\n", "ash,elm"),
        ("path,label\nx/1.jpg,\"['oak', 'ash']\"\n3.jpg,['ash']\n", r"\['"),
        ("path,label\nx/1.jpg,oak\nx/1.jpg,ash\n", "listed more than once, as ash, oak"),
        ("path,oak,ash\nx/1.jpg,1,1\n3.jpg,0,1\n", "a column of 0 and 1 for each class"),
    ],
)
def test_several_labels_of_one_image_are_refused_as_multi_label(photos, text, says):
    with pytest.raises(UserError, match=f"{says.replace('|', '[|]')}.*multi-label classification.*not supported"):
        read(photos, text)


def test_a_label_that_only_contains_a_separator_is_one_label(photos):
    assert set(read(photos, 'path,label\nx/1.jpg,"salt, pepper"\n3.jpg,"salt, sugar"\n').values()) == {
        "salt, pepper",
        "salt, sugar",
    }


def test_a_short_row_is_named_by_its_line(photos):
    with pytest.raises(UserError, match=r"l\.csv line 3: needs a path and a label"):
        read(photos, "path,label\nx/1.jpg,oak\n3.jpg\n")


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        ("path,label\nx/1.jpg,niño\n".encode("cp1252"), "save it as UTF-8"),
        (b'path,label\n"x/1.jpg,oak\n' + b"3.jpg,ash\n" * 14_000, "field larger than .*; close its quotes, or save it again"),
        (None, r"l\.csv: Permission denied; check its permissions"),
    ],
    ids=["encoding", "quotes", "permissions"],
)
def test_a_list_that_cannot_be_read_says_what_to_do(photos, content, remedy, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    (photos / "l.csv").write_bytes(content or b"path,label\n")
    if content is None:
        monkeypatch.setattr("pathlib.Path.read_text", refuse)
    with pytest.raises(UserError, match=f"cannot read the list .*{remedy}"):
        read_layout(photos / "l.csv")


def test_a_file_listed_twice_with_one_label_is_refused_with_what_to_keep(photos):
    with pytest.raises(UserError, match=r"l\.csv lists files more than once \(1, e\.g\. 3\.jpg\); keep one line for each"):
        read(photos, "path,label\nx/1.jpg,oak\n3.jpg,ash\n3.jpg,ash\n")


def test_images_beside_the_listed_ones_are_counted_as_not_used(photos):
    (photos / "notes.txt").touch()
    (photos / "l.csv").write_text("path,label\nx/1.jpg,oak\n3.jpg,ash\n")
    notes = read_layout(photos / "l.csv", DatasetConfig(name="folder")).notes
    assert describe_unused(notes["unused"]) == "1 .jpg (not in the list)"
    assert notes["unused"][0]["examples"] == ["a, b.jpg"]
    (photos / "l.csv").write_text('path,label\nx/1.jpg,oak\n3.jpg,ash\n"a, b.jpg",ash\n')
    assert "unused" not in read_layout(photos / "l.csv", DatasetConfig(name="folder")).notes
