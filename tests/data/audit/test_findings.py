"""The audit finds every kind of problem file, each generated here."""

import json
import re

import numpy as np
import pytest
from made_up_images import class_folders, encoded, pixels, write_images, zip_of
from PIL import Image

from vision2 import audit as command
from vision2.basics.errors import UserError
from vision2.basics.written import LIST
from vision2.config.schema import Config
from vision2.data.audit.findings import audit
from vision2.data.audit.inspection import KINDS, inspect_file
from vision2.data.audit.text import text
from vision2.data.files.listing import FileEntry
from vision2.data.settings import DatasetConfig
from vision2.report.audit_page import page


def picture(seed=0, **size):
    return Image.fromarray(pixels(seed, **size))


def animation(path):
    picture(1).save(path, save_all=True, append_images=[picture(2), picture(3)])


def turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1, width=60, height=40).save(path, exif=exif)


def deep(path):
    Image.fromarray(np.linspace(0, 65535, 1600).reshape(40, 40).astype(np.uint16)).save(path)


def twelve_bits(path):
    Image.fromarray(np.linspace(0, 4095, 1600).reshape(40, 40).astype(np.uint16)).save(path)


def transparent(path):
    Image.fromarray(np.zeros((40, 40, 4), np.uint8)).save(path)


def palette_with_transparency(path):
    picture(1).convert("P").save(path, transparency=0)


# kind: file name, how it is made
MADE = {
    "empty": ("x.jpg", lambda path: path.write_bytes(b"")),
    "truncated": ("x.jpg", lambda path: path.write_bytes(encoded(1, width=300, height=200)[:2000])),
    "undecodable": ("x.jpg", lambda path: path.write_bytes(b"<html>404</html>")),
    "animated": ("x.gif", animation),
    "16-bit": ("x.png", deep),
    "12-bit": ("x.png", twelve_bits),
    "blank": ("x.png", transparent),
    "constant": ("x.png", lambda path: Image.new("RGB", (40, 40), (9, 99, 199)).save(path)),
    "cmyk": ("x.jpg", lambda path: picture(1).convert("CMYK").save(path)),
    "alpha": ("x.png", lambda path: picture(1).convert("RGBA").save(path)),
    "grey": ("x.jpg", lambda path: picture(1).convert("L").save(path)),
    "rotated": ("x.jpg", turned),
    "tiny": ("x.png", lambda path: picture(1, width=50, height=31).save(path)),
    "extreme aspect": ("x.jpg", lambda path: picture(1, width=400, height=100).save(path)),
    "other format": ("x.jpg", lambda path: picture(1, width=50, height=50).save(path, "PNG")),
}


def inspected(path):
    return inspect_file(FileEntry(path, path.name))


def test_every_kind_the_audit_knows_is_generated_here():
    assert set(MADE) == set(KINDS)


@pytest.mark.parametrize("kind", MADE)
def test_each_kind_of_file_is_recognised(tmp_path, kind):
    name, make = MADE[kind]
    make(tmp_path / name)
    facts = inspected(tmp_path / name)
    # 16-bit images are grey in every format Pillow writes
    also = {"16-bit": {"grey"}, "12-bit": {"16-bit", "grey"}, "blank": {"alpha"}}
    assert set(facts.kinds) == {kind} | also.get(kind, set())
    assert facts.bad == (kind in ("empty", "truncated", "undecodable"))
    assert bool(facts.reason) == facts.bad


@pytest.mark.parametrize(("kind", "name"), [("PNG", "x.png"), ("JPEG", "x.jpg"), ("WEBP", "x.webp"), ("BMP", "x.bmp")])
def test_truncated_files_of_every_format_are_bad(tmp_path, kind, name):
    data = encoded(1, kind, width=300, height=200)
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    assert inspected(tmp_path / name).bad


def test_a_palette_with_transparency_counts_as_alpha(tmp_path):
    palette_with_transparency(tmp_path / "x.png")
    assert inspected(tmp_path / "x.png").kinds == ("alpha",)


def test_an_ordinary_photograph_has_no_findings(tmp_path):
    (tmp_path / "x.jpg").write_bytes(encoded(1, width=64, height=48))
    facts = inspected(tmp_path / "x.jpg")
    assert facts.kinds == ()
    assert (facts.width, facts.height, facts.format, facts.mode) == (64, 48, "JPEG", "RGB")


def test_sizes_are_those_of_the_upright_image(tmp_path):
    turned(tmp_path / "x.jpg")
    assert (inspected(tmp_path / "x.jpg").width, inspected(tmp_path / "x.jpg").height) == (40, 60)


def test_a_file_that_vanishes_is_undecodable(tmp_path):
    assert inspected(tmp_path / "gone.jpg").kinds == ("undecodable",)


def settings(root, **more):
    return DatasetConfig(name="folder", root=str(root), **more)


def findings(root, **more):
    return audit(settings(root, **more), seed=0).findings


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    """Twenty good images per class and one file of every kind."""
    root = class_folders(tmp_path_factory.mktemp("messy"), ash=20, oak=20)
    for kind, (name, make) in MADE.items():
        make(root / "ash" / f"{kind.replace(' ', '_')}_{name}")
    return root


@pytest.fixture(scope="module")
def messy_audit(messy):
    return audit(settings(messy, max_bad_share=0.01), seed=0)


def test_every_file_is_counted_once(messy_audit):
    found = messy_audit.findings
    assert found["files"] == 40 + len(MADE)
    assert sum(sum(part.values()) for part in found["counts"].values()) == found["files"]
    assert found["counts"]["left out"] == {"ash": 3, "oak": 0}
    assert all(found["kinds"][kind] for kind in KINDS)
    assert sum(step["images"] for step in found["sizes"]["histogram"]) == found["files"] - 3


def test_the_audit_changes_nothing(messy):
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in messy.rglob("*")}
    findings(messy)
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in messy.rglob("*")}


def test_the_audit_leaves_out_what_training_leaves_out(messy, messy_audit):
    from vision2.data.dataset import open_dataset

    data = open_dataset(settings(messy, max_bad_share=0.2), seed=0, store_px=32)
    kinds = messy_audit.findings["kinds"]
    listed = {entry["path"] for kind in ("empty", "truncated", "undecodable") for entry in kinds[kind]}
    assert listed == {entry["path"] for entry in data.report["skipped"]}
    assert {part: messy_audit.findings["counts"][part] for part in ("train", "val", "test")} == data.report["counts"]


def test_the_text_says_what_is_left_out_and_that_training_would_stop(messy_audit):
    said = text(messy_audit.findings)
    assert "Training leaves out 3 files (5.45%): 1 empty, 1 truncated, 1 undecodable" in said
    assert "training would stop, because dataset.max_bad_share=0.01 allows fewer" in said
    assert all(title in said for title in KINDS.values())


def test_the_page_shows_thumbnails_and_loads_nothing_external(messy_audit):
    html = page(messy_audit)
    assert html.count("data:image/jpeg;base64,") >= 9
    assert not re.search(r"https?://|<script|<link", html)


def test_names_are_escaped_on_the_page(tmp_path):
    class_folders(tmp_path, ash=8, oak=8)
    (tmp_path / "ash" / "<script>alert(1)<&>.jpg").write_bytes(b"bad")
    html = page(audit(settings(tmp_path), seed=0))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;&amp;&gt;.jpg" in html


def test_a_clean_folder_has_no_findings(tmp_path):
    for name in ("ash", "oak"):
        (tmp_path / name).mkdir()
        for index in range(8):
            picture(index + 100 * (name == "oak"), width=64, height=48).save(tmp_path / name / f"{index}.jpg")
    assert "ok Nothing found" in text(findings(tmp_path))


def test_duplicates_across_classes_and_splits_come_first(tmp_path):
    names = [f"{part}/{kind}/{index}.jpg" for part in ("train", "val", "test") for kind in "ab" for index in range(3)]
    write_images(tmp_path, names)
    same = encoded(77, width=200, height=150)
    for name in ("train/a/w.jpg", "train/b/x.jpg"):
        (tmp_path / name).write_bytes(same)
    other = encoded(78, width=200, height=150)
    for name in ("train/a/y.jpg", "test/a/z.jpg"):
        (tmp_path / name).write_bytes(other)
    first, second = findings(tmp_path)["exact_duplicates"]
    assert (first["across_classes"], first["across_splits"]) == (True, False)
    assert (second["across_classes"], second["across_splits"]) == (False, True)
    assert [entry["path"] for entry in second["files"]] == ["test/a/z.jpg", "train/a/y.jpg"]


def test_near_duplicates_are_found_and_exact_ones_not_listed_twice(tmp_path):
    class_folders(tmp_path, ash=10, oak=10)
    photo = picture(500, width=300, height=200)
    photo.save(tmp_path / "ash" / "photo.png")
    (tmp_path / "ash" / "copy.png").write_bytes((tmp_path / "ash" / "photo.png").read_bytes())
    photo.resize((150, 100)).save(tmp_path / "oak" / "small.jpg", quality=60)
    found = findings(tmp_path)
    assert [entry["path"] for entry in found["exact_duplicates"][0]["files"]] == ["ash/copy.png", "ash/photo.png"]
    (group,) = found["near_duplicates"]
    assert [entry["path"] for entry in group["files"]] == ["ash/copy.png", "oak/small.jpg"]
    assert group["across_classes"]


def test_groups_in_two_splits_are_a_warning(tmp_path):
    names = [f"{part}/{kind}/p{n}.jpg" for part in ("train", "val", "test") for kind in "ab" for n in range(3)]
    write_images(tmp_path, names)
    assert "6 groups in more than one split" in text(findings(tmp_path, group_pattern=r"(./p\d)"))


def test_a_data_set_too_small_to_split_is_still_audited(tmp_path):
    found = findings(class_folders(tmp_path, ash=1, oak=1))
    assert "No split could be drawn" in text(found)
    assert found["counts"]["all"] == {"ash": 1, "oak": 1}


def test_a_data_set_with_only_bad_files_is_still_audited(tmp_path):
    class_folders(tmp_path, ash=2, oak=2)
    for path in tmp_path.rglob("*.jpg"):
        path.write_bytes(b"bad")
    found = audit(settings(tmp_path), seed=0)
    assert "Training leaves out 4 files (100.00%)" in text(found.findings)
    assert "no image" in page(found)


def test_a_zip_is_audited_like_its_folder(tmp_path, messy):
    packed = findings(zip_of(messy, tmp_path / "x.zip"))
    plain = findings(messy)
    assert {**packed, "root": None} == {**plain, "root": None}


def test_embedded_digits_have_no_files_to_audit():
    with pytest.raises(UserError, match="no files to audit"):
        audit(DatasetConfig(name="digits"), seed=0)


def test_the_command_writes_text_json_and_page(tmp_path, capsys):
    root = class_folders(tmp_path / "data", ash=8, oak=8)
    config = Config(dataset=settings(root))
    command.run(config, {"out": str(tmp_path / "out")})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [LIST, "audit.html", "audit.json", "audit.txt"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "audit.json").write_text("mine")
    with pytest.raises(UserError, match=r"audit.json was not written by vision2"):
        command.run(config, {"out": str(tmp_path / "mine")})
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["files"] == 16
    assert "16 files" in capsys.readouterr().out


def test_the_share_of_pixels_that_the_centre_crop_discards_is_reported(tmp_path):
    for name in ("ash", "oak"):
        (tmp_path / name).mkdir()
        for index in range(8):
            picture(index + 100 * (name == "oak"), width=160, height=40).save(tmp_path / name / f"{index}.png")
    found = findings(tmp_path)
    assert found["share_cropped"] == pytest.approx(1 - 0.875**2 / 4)
    assert "discards 81% of the pixels; dataset.resize=squash or pad shows the whole picture" in text(found)
    assert "discards 81% of the pixels" in page(audit(settings(tmp_path), seed=0))
    assert findings(tmp_path, resize="pad")["share_cropped"] == 0
