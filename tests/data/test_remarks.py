"""Training and the audit make the same remarks about a data set's files."""

import pytest
from made_up_images import class_folders, encoded, write_images, zip_of

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
