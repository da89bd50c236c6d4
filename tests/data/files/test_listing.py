"""Every file in a place is an image or is counted by reason and extension."""

import os
import zipfile

import pytest
from made_up_images import class_folders, encoded, pixels, write_images
from PIL import Image

from vision2.basics.errors import UserError
from vision2.data.files import formats, listing
from vision2.data.files.decode import BadImage, decode_entry
from vision2.data.files.layouts import read_layout
from vision2.data.files.listing import list_place
from vision2.data.files.unused import describe_unused
from vision2.data.settings import DatasetConfig


def unused(root):
    return {(note["reason"], note["extension"]): note["count"] for note in list_place(root).notes.get("unused", [])}


def test_content_decides_and_not_the_name(tmp_path):
    (tmp_path / "photo").write_bytes(encoded(1))
    (tmp_path / "photo.orig").write_bytes(encoded(2, "PNG"))
    (tmp_path / "notes").write_bytes(b"a text, no image")
    listing = list_place(tmp_path)
    assert [entry.id for entry in listing.images] == ["photo", "photo.orig"]
    assert unused(tmp_path) == {("not an image", "no extension"): 1}


@pytest.mark.parametrize(("kind", "extension"), [("PPM", ".pgm"), ("JPEG2000", ".jp2"), ("WEBP", ".webp"), ("AVIF", ".avif")])
def test_formats_that_pillow_reads_are_used_with_any_name(tmp_path, kind, extension):
    if kind not in formats.pillow_names():
        pytest.skip("not in this Pillow")
    for name in (f"a{extension}", "b"):
        Image.fromarray(pixels(1)).save(tmp_path / name, kind)
    assert [entry.id for entry in list_place(tmp_path).images] == [f"a{extension}", "b"]


def test_heic_is_read_if_its_decoder_is_installed(tmp_path):
    pytest.importorskip("pillow_heif").register_heif_opener()
    Image.fromarray(pixels(1)).save(tmp_path / "a.heic", "HEIF")
    (entry,) = list_place(tmp_path).images
    assert decode_entry(entry).shape == (36, 48, 3)


def test_a_format_without_a_decoder_is_reported_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "decodable", lambda: frozenset({"JPEG", "PNG"}))
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    (tmp_path / "b.heic").write_bytes(encoded(1))  # a JPEG that a phone named .heic
    (tmp_path / "c").write_bytes(b"\0\0\0\x18ftypavif" + bytes(20))
    listing = list_place(tmp_path)
    assert [entry.id for entry in listing.images] == ["b.heic"]
    said = describe_unused(listing.notes["unused"])
    assert "1 .heic (HEIC: pip install 'vision2[heif]' to read it)" in said
    assert "1 with no extension (AVIF: pip install 'pillow>=11.3' to read it)" in said


def test_files_that_are_never_read_are_described(tmp_path):
    for name in ("a.jxl", "b.NEF", "c.svg", "d.mp4", "e.zip", "f.txt", "g.txt"):
        (tmp_path / name).write_bytes(b"II*\0" + bytes(40))
    said = describe_unused(list_place(tmp_path).notes["unused"])
    assert "2 .txt (not an image)" in said
    assert "1 .jxl (JPEG XL: convert to JPEG or PNG)" in said
    assert "1 .nef (camera raw: convert to JPEG or PNG)" in said
    assert "1 .zip (archive: unpack it)" in said


def test_a_file_that_cannot_be_read_and_one_without_its_decoder_are_counted_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "decodable", lambda: frozenset({"JPEG", "PNG"}))
    (tmp_path / "gone").symlink_to(tmp_path / "moved away")
    (tmp_path / "a.jp2").write_bytes(b"\xff\x4f\xff\x51" + bytes(40))
    said = describe_unused(list_place(tmp_path).notes["unused"])
    assert "1 with no extension (cannot be read: No such file or directory)" in said
    assert "1 .jp2 (JPEG 2000: not supported by this Pillow, convert to JPEG or PNG)" in said


def test_the_first_names_of_each_kind_are_kept(tmp_path):
    for index in range(5):
        (tmp_path / f"{index}.txt").write_text("x")
    (note,) = list_place(tmp_path).notes["unused"]
    assert (note["count"], len(note["examples"])) == (5, 3)


def test_folders_that_begin_with_a_dot_are_reported_except_those_of_programs(tmp_path):
    write_images(tmp_path, ["a/1.jpg", ".cats/1.jpg", "b/.old/1.jpg", ".git/1.jpg", "__MACOSX/a/._1.jpg", "a/.secret.jpg"])
    listing = list_place(tmp_path)
    assert [entry.id for entry in listing.images] == ["a/1.jpg"]
    assert listing.notes["hidden_folders"] == [".cats", "b/.old"]
    assert unused(tmp_path) == {("hidden: its name begins with a dot", ".jpg"): 1}
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("a/1.jpg", ".cats/1.jpg", ".git/1.jpg"):
            archive.writestr(name, encoded(1))
    assert list_place(tmp_path / "x.zip").notes["hidden_folders"] == [".cats"]


def test_names_in_two_forms_of_unicode_are_one_name(tmp_path):
    write_images(tmp_path, ["cafe\u0301/1.jpg", "caf\u00e9s/1.jpg"])
    assert [entry.id for entry in list_place(tmp_path).images] == ["caf\u00e9/1.jpg", "caf\u00e9s/1.jpg"]


def test_file_names_that_are_not_utf8_are_read_and_can_be_printed(tmp_path):
    class_folders(tmp_path, ash=1)
    os.rename(tmp_path / "ash" / "0000.jpg", os.fsencode(tmp_path / "ash") + b"/caf\xe9.jpg")  # noqa: PTH104 - bytes
    (entry,) = list_place(tmp_path).images
    assert entry.id == "ash/caf\\xe9.jpg"
    assert entry.read_bytes() == encoded(0)
    entry.id.encode("utf-8")


def written_zip(path, *names, flag=0):
    """A zip whose names are these bytes, without the UTF-8 flag, as other systems write them."""
    with zipfile.ZipFile(path, "w") as archive:
        for index, name in enumerate(names):
            archive.writestr("x" * len(name) + str(index), encoded(index))
    content = path.read_bytes()
    for index, name in enumerate(names):
        content = content.replace(b"x" * len(name) + str(index).encode(), name + b"g")
    path.write_bytes(content)
    return path


def zip_ids(path, encoding=None):
    return [entry.id for entry in list_place(path, encoding).images]


def test_utf8_without_its_flag_is_recognised(tmp_path):
    packed = written_zip(tmp_path / "x.zip", "ñu/1.jp".encode())
    assert zip_ids(packed) == ["ñu/1.jpg"]
    assert list_place(packed).images[0].read_bytes() == encoded(0)
    assert "guessed_names" not in list_place(packed).notes


def test_other_encodings_are_set_by_an_option_and_a_guess_is_noted(tmp_path):
    packed = written_zip(tmp_path / "x.zip", "niño/1.jp".encode("cp850"), b"plain/1.jp")
    assert zip_ids(packed, "cp850") == ["niño/1.jpg", "plain/1.jpg"]
    windows = written_zip(tmp_path / "w.zip", "niño/1.jp".encode("cp1252"))
    assert zip_ids(windows, "cp1252") == ["niño/1.jpg"]
    assert list_place(windows).notes["guessed_names"]
    with pytest.raises(UserError, match="zip_encoding=latin99 is not the name of an encoding"):
        list_place(packed, "latin99")
    with pytest.raises(UserError, match="zip_encoding=ascii does not fit"):
        list_place(packed, "ascii")


def test_backslashes_and_dots_are_not_classes(tmp_path):
    packed = written_zip(tmp_path / "x.zip", b"set\\cat\\1.jp", b"./set/./fox/1.jp", b"set/10:30.jp")
    assert zip_ids(packed) == ["set/10:30.jpg", "set/cat/1.jpg", "set/fox/1.jpg"]
    assert list_place(packed).images[1].read_bytes() == encoded(0)


OUTSIDE_PATHS = (
    b"/etc/evil/1.jp",
    b"C:\\x\\1.jp",
    b"c:/x/1.jp",
    b"\\\\host\\x\\1.jp",
    b"../x/1.jp",
    b"cat/../../x/1.jp",
    b"cat\\..\\x\\1.jp",
)


@pytest.mark.parametrize("name", OUTSIDE_PATHS, ids=bytes.decode)
def test_members_of_a_zip_whose_path_leads_outside_are_left_out_and_reported(tmp_path, name):
    packed = written_zip(tmp_path / "x.zip", b"cat/1.jp", b"dog/1.jp", name)
    found = list_place(packed)
    assert [entry.id for entry in found.images] == ["cat/1.jpg", "dog/1.jpg"]
    said = describe_unused(found.notes["unused"])
    assert said == f"1 .jpg (path outside the archive, first: {name.decode()}g)"


def test_a_zip_whose_members_all_lead_outside_is_refused_with_the_reason(tmp_path):
    packed = written_zip(tmp_path / "x.zip", b"/cat/1.jp", b"/dog/1.jp")
    with pytest.raises(UserError, match=r"2 \.jpg \(path outside the archive, first: /cat/1\.jpg\)"):
        read_layout(packed, DatasetConfig(name="folder"))


def test_an_encrypted_zip_is_refused_in_one_sentence(tmp_path):
    packed = written_zip(tmp_path / "x.zip", b"cat/1.jp")
    content = bytearray(packed.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    packed.write_bytes(content)
    with pytest.raises(UserError, match=r"is encrypted \(1 of 1 files\): unpack it with its password"):
        list_place(packed)


def test_a_zip_member_that_would_be_too_large_unpacked_is_not_read(tmp_path, monkeypatch):
    packed = written_zip(tmp_path / "x.zip", b"cat/1.jp")
    monkeypatch.setattr(listing, "MAX_IMAGE_BYTES", 0)
    with pytest.raises(BadImage, match="cannot be read: larger than 0 MiB unpacked"):
        decode_entry(list_place(packed).images[0])


def test_a_zip64_is_read(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "x.zip", "w") as archive,
        archive.open("cat/1.jpg", "w", force_zip64=True) as stream,
    ):
        stream.write(encoded(1))
    (entry,) = list_place(tmp_path / "x.zip").images
    assert entry.read_bytes() == encoded(1)


def test_content_decides_inside_a_zip_too(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("cat/1", encoded(1))
        archive.writestr("cat/2", "text")
    assert zip_ids(tmp_path / "x.zip") == ["cat/1"]
    assert unused(tmp_path / "x.zip") == {("not an image", "no extension"): 1}
