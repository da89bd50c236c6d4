"""Training and the audit make the same remarks about a data set's files."""

import json

import pytest
from made_up_images import class_folders, encoded, write_images, zip_of
from PIL import Image

from vision2.data.audit.findings import audit
from vision2.data.audit.text import text
from vision2.data.dataset import open_dataset, open_everything
from vision2.data.remarks import training_remarks
from vision2.data.settings import DatasetConfig

NAMES = [f"{top}/{leaf}/{n}.jpg" for top, leaf in (("Fruit", "Apple"), ("Fruit", "Pear"), ("Root", "Beet")) for n in range(6)]


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """One example of everything that causes a remark."""
    root = write_images(tmp_path_factory.mktemp("odd"), [*NAMES, "cover.jpg", ".old/1.jpg", "root/1.jpg", "root/2.jpg"])
    for index in range(3, 8):
        (root / "root" / f"{index}.jpg").write_bytes(encoded(100 + index))
    for name in ("Fruit/a.jxl", "Fruit/b.JXL", "readme.txt", "Root/noextension"):
        (root / name).write_bytes(b"no image at all")
    (root / "Fruit" / "text.jpg").write_bytes(b"a text file with the wrong name")
    return root


EXPECTED = [
    "Classes that differ only in case, spaces, - or _: 'Root' and 'root'",
    "The classes are the folders of the top level; 3 folders below them are merged into them (Fruit 2, Root 1), "
    "e.g. Fruit/Apple: dataset.class_level=leaf makes the deepest folders the classes.",
    "1 image is outside the class folders and not used: 1 in the top folder.",
    "2 .jxl (JPEG XL: convert to JPEG or PNG), 1 .txt and 1 with no extension (not an image)",
    "because their names begin with a dot: .old.",
]


def settings(root, **more):
    return DatasetConfig(name="folder", root=str(root), cache="memory", **more)


def test_training_and_audit_make_the_same_remarks(odd):
    trained = "\n".join(training_remarks(open_dataset(settings(odd, max_bad_share=0.2), seed=0, store_px=32).report))
    audited = text(audit(settings(odd), seed=0).findings)
    for sentence in EXPECTED:
        assert sentence in trained
        assert sentence in audited
    assert "Left out because they cannot be decoded: 1 .jpg (not an image in a known format); first: Fruit/text.jpg." in trained
    assert "1 undecodable" in audited


def test_evaluation_on_another_folder_makes_the_same_remarks(odd):
    _, _, notes = open_everything(settings(odd, max_bad_share=0.2), store_px=32)
    assert all(sentence in "\n".join(training_remarks(notes)) for sentence in EXPECTED)


def test_a_zip_gives_the_same_remarks_as_its_folder(odd, tmp_path):
    plain = open_dataset(settings(odd, max_bad_share=0.2), seed=0, store_px=32).report
    packed = open_dataset(settings(zip_of(odd, tmp_path / "x.zip"), max_bad_share=0.2), seed=0, store_px=32).report
    assert training_remarks(packed) == training_remarks(plain)


def test_plain_class_folders_cause_no_remarks(tmp_path):
    root = class_folders(tmp_path, ash=12, oak=12)
    assert training_remarks(open_dataset(settings(root), seed=0, store_px=32).report) == []


def test_classes_missing_from_a_split_are_named_even_if_it_was_drawn(tmp_path):
    root = class_folders(tmp_path, ash=40, oak=40, elm=2)
    said = training_remarks(open_dataset(settings(root), seed=0, store_px=32).report)
    assert "val has no images of elm, so the accuracy on these classes is not measured there." in said
    assert "test has no images of elm, so the accuracy on these classes is not measured there." in said
    assert all(sentence in text(audit(settings(root), seed=0).findings) for sentence in said)


def test_the_train_command_prints_the_remarks_before_the_first_epoch(odd, vision2):
    done = vision2(
        "train", "model=resnet20", "dataset=folder", f"dataset.root={odd}", "dataset.image_size_px=32", "train.epochs=1",
        "dataset.max_bad_share=0.2", "dataset.cache=memory",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before = done.stdout.partition("epoch 1/1")[0]
    assert all(sentence in before for sentence in EXPECTED)
    assert "augment: random_resized 0.35.., flip" in before


@pytest.fixture
def some_blank(tmp_path):
    root = class_folders(tmp_path / "photos", ash=20, oak=20)
    Image.new("RGB", (300, 200), "grey").save(root / "ash" / "0003.jpg")
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(root / "oak" / "0001.png")
    return root


@pytest.mark.parametrize("cache", ["off", "memory", "disk"])
def test_training_counts_images_of_a_single_colour_and_points_to_the_audit(some_blank, tmp_path, cache):
    config = DatasetConfig(name="folder", root=str(some_blank), cache=cache, cache_dir=str(tmp_path / "cache"))
    said = "2 images have a single colour (blank pictures?); first: ash/0003.jpg; python -m vision2.audit lists them."
    for _ in range(2):  # decoded, then from the store
        assert said in training_remarks(open_dataset(config, seed=0, store_px=28).report)


def test_a_store_is_not_decoded_again_to_count_images_of_a_single_colour(some_blank, tmp_path, monkeypatch):
    config = DatasetConfig(name="folder", root=str(some_blank), cache="disk", cache_dir=str(tmp_path / "cache"))
    open_dataset(config, seed=0, store_px=28)
    monkeypatch.setattr("vision2.data.store.store.decode_entry", lambda *_: pytest.fail("decoded again"))
    assert open_dataset(config, seed=0, store_px=28).report["one_colour"] == {
        "count": 2,
        "ids": ["ash/0003.jpg", "oak/0001.png"],
    }
    (meta,) = (tmp_path / "cache" / "stores").glob("*/meta.json")
    content = json.loads(meta.read_text())
    del content["one_colour"]  # a store of an earlier version: still used, without the count
    meta.write_text(json.dumps(content))
    assert open_dataset(config, seed=0, store_px=28).report["one_colour"]["count"] == 0
