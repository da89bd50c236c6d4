"""A tar of any compression is read like a folder or a zip; other archives are refused with the command to unpack them."""

import tarfile
from pathlib import Path

import pytest
from made_up_images import class_folders, zip_of

from vision2.basics.errors import UserError
from vision2.data.files import archives
from vision2.data.files.layouts import read_layout
from vision2.data.files.locations import cache_root
from vision2.data.files.places import open_place
from vision2.data.settings import DatasetConfig


def tar_of(folder, target, mode):
    with tarfile.open(target, mode) as archive:
        archive.add(folder, "set")
    return target


@pytest.mark.parametrize(
    ("name", "mode"),
    [("x.tar", "w"), ("x.tar.gz", "w:gz"), ("x.tgz", "w:gz"), ("x.tar.bz2", "w:bz2"), ("x.tar.xz", "w:xz"), ("x", "w:xz")],
)
def test_a_tar_of_any_compression_reads_like_its_folder(tmp_path, name, mode):
    archive = tar_of(class_folders(tmp_path / "in", ash=2, oak=1), tmp_path / name, mode)
    settings = DatasetConfig(name="folder", cache_dir=str(tmp_path / "cache"))
    first, again = read_layout(archive, settings), read_layout(archive, settings)
    assert first.ids == again.ids == ("set/ash/0000.jpg", "set/ash/0001.jpg", "set/oak/0000.jpg")
    assert len(list((tmp_path / "cache" / "unpacked").iterdir())) == 1


def test_a_changed_tar_is_unpacked_again(tmp_path):
    settings = DatasetConfig(name="folder", cache_dir=str(tmp_path / "cache"))
    for count in (1, 2):
        folder = class_folders(tmp_path / f"in{count}", ash=count, oak=1)
        assert len(read_layout(tar_of(folder, tmp_path / "x.tar", "w"), settings)) == count + 1


def test_a_tar_with_an_absolute_member_is_refused(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo("/etc/1.jpg")
        archive.addfile(info)
    with pytest.raises(UserError, match="outside the target folder"):
        read_layout(tmp_path / "x.tar", DatasetConfig(name="folder", cache_dir=str(tmp_path / "cache")))
    assert not [path for path in (tmp_path / "cache" / "unpacked").rglob("*") if path.is_file()]


def test_a_zip_with_another_extension_is_read(tmp_path):
    packed = zip_of(class_folders(tmp_path / "in", ash=1, oak=1), tmp_path / "photos.cbz")
    assert read_layout(packed).classes == ("ash", "oak")


def test_a_zip_of_zips_is_refused_saying_what_is_in_it(tmp_path):
    inner = zip_of(class_folders(tmp_path / "in", ash=1), tmp_path / "in" / "a.zip")
    (tmp_path / "outer").mkdir()
    inner.rename(tmp_path / "outer" / "a.zip")
    with pytest.raises(UserError, match=r"no images found .*only 1 \.zip \(archive: unpack it\)"):
        read_layout(zip_of(tmp_path / "outer", tmp_path / "x.zip"))


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"\x28\xb5\x2f\xfd", "zstd archive: unpack it with `tar --zstd -xf x.dat`"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive"),
        (b"Rar!\x1a\x07", "RAR archive"),
        (b"hello", "is not a folder, a .zip, a .tar"),
    ],
)
def test_other_files_are_refused_with_what_to_do(tmp_path, head, says):
    (tmp_path / "x.dat").write_bytes(head + bytes(600))
    with pytest.raises(UserError, match=says):
        read_layout(tmp_path / "x.dat")


def test_a_folder_without_images_is_refused_saying_what_is_there(tmp_path):
    (tmp_path / "a.jxl").write_bytes(b"x")
    with pytest.raises(
        UserError, match=r"no images found below .*, only 1 \.jxl \(JPEG XL: convert .*set it to a place that holds images"
    ):
        read_layout(tmp_path)


def test_a_folder_with_a_list_and_no_class_folders_names_the_list(tmp_path):
    class_folders(tmp_path, ash=1)
    (tmp_path / "ash" / "labels.csv").write_text("path,label\n")
    with pytest.raises(UserError, match=r"no class folders.*CSV list \(path,label\), for example labels\.csv there"):
        read_layout(tmp_path / "ash")


def test_without_a_home_directory_the_settings_are_named(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("VISION2_CACHE")
    monkeypatch.setattr("pathlib.Path.home", homeless)
    with pytest.raises(UserError, match=r"no home directory.*dataset\.cache_dir=FOLDER or \$VISION2_CACHE"):
        cache_root(None)


def test_a_read_only_folder_of_images_is_read(tmp_path):
    root = class_folders(tmp_path / "in", ash=1, oak=1)
    for path in (root, *root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert read_layout(root).classes == ("ash", "oak")
    finally:
        for path in (root, *root.rglob("*")):
            path.chmod(0o755)


def test_a_cache_that_cannot_be_written_names_the_setting(tmp_path):
    archive = tar_of(class_folders(tmp_path / "in", ash=1, oak=1), tmp_path / "x.tar", "w")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot unpack .*set dataset\.cache_dir"):
        read_layout(archive, DatasetConfig(name="folder", cache_dir=str(tmp_path / "file")))


def full(*_):
    raise OSError(28, "No space left on device")


def test_a_tar_that_does_not_fit_the_cache_is_refused_with_the_setting_of_the_cache(tmp_path, monkeypatch):
    archive = tar_of(class_folders(tmp_path / "in", ash=1, oak=1), tmp_path / "x.tar", "w")
    monkeypatch.setattr(archives, "_copy", full)
    with pytest.raises(UserError, match=r"cannot unpack .*x\.tar .*No space left on device; set dataset\.cache_dir to"):
        read_layout(archive, DatasetConfig(name="folder", cache_dir=str(tmp_path / "cache")))
    assert not list((tmp_path / "cache" / "unpacked").iterdir())


def refused(path, *_, **__):
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize("method", ["exists", "stat", "open", "iterdir"])
def test_a_place_that_may_not_be_read_is_refused_in_one_sentence(tmp_path, monkeypatch, method):
    place = tmp_path / "x.dat"
    if method != "iterdir":  # for a missing place, the folder above is listed
        place.write_bytes(b"hello")
    monkeypatch.setattr(Path, method, refused)
    with pytest.raises(
        UserError, match=r"dataset\.root: .* cannot be read \(Permission denied\); change its permissions"
    ) as caught:
        open_place(place, DatasetConfig(name="folder"))
    assert len(caught.value.problems) == 1
