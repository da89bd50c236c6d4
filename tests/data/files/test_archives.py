import io
import tarfile
import zipfile

import pytest

from vision2.basics.errors import UserError
from vision2.data.files import archives
from vision2.data.files.archives import unpack


def make_tar(path, members, mode="w:gz"):
    """members: (name, bytes) files, or ready TarInfo entries."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return path


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def link(kind, name="a/link", target="/etc/passwd"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def files_below(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


GOOD = [("set/a/1.jpg", b"one"), ("set/b/2.jpg", b"two"), ("set/b/._2.jpg", b"x"), ("__MACOSX/set/x", b"x")]


@pytest.mark.parametrize(("make", "name"), [(make_tar, "x.tar.gz"), (make_zip, "x.zip")])
def test_visible_files_are_unpacked_and_nothing_else_is_left(tmp_path, make, name):
    out = tmp_path / "out"
    unpack(make(tmp_path / name, GOOD), out)
    assert files_below(out) == {"set/a/1.jpg": b"one", "set/b/2.jpg": b"two"}
    assert [path.name for path in out.iterdir()] == ["set"]


def test_unpacking_again_replaces_and_merges(tmp_path):
    out = tmp_path / "out"
    unpack(make_tar(tmp_path / "1.tar.gz", [("set/a", b"old"), ("set/b", b"b")]), out)
    unpack(make_tar(tmp_path / "2.tar.gz", [("set/a", b"new"), ("set/c/d", b"d")]), out)
    assert files_below(out) == {"set/a": b"new", "set/b": b"b", "set/c/d": b"d"}


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:/evil"])
@pytest.mark.parametrize(("make", "suffix"), [(make_tar, "x.tar.gz"), (make_zip, "x.zip")])
def test_nothing_is_written_outside_the_folder(tmp_path, name, make, suffix):
    archive = make(tmp_path / suffix, [("fine", b"1"), (name, b"2")])
    with pytest.raises(UserError, match="outside the target folder"):
        unpack(archive, tmp_path / "out")
    assert files_below(tmp_path / "out") == {}
    assert not list((tmp_path).rglob("evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    with pytest.raises(UserError, match="is a link or a device"):
        unpack(make_tar(tmp_path / "x.tar", [("fine", b"1"), link(kind)], "w"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_links_in_a_zip_are_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="is a link or a device"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


@pytest.mark.parametrize(("make", "name"), [(make_tar, "x.tar.gz"), (make_zip, "x.zip")])
def test_a_bomb_is_stopped_while_it_unpacks(tmp_path, monkeypatch, make, name):
    monkeypatch.setattr(archives, "FREE_RATIO_BYTES", 100_000)
    archive = make(tmp_path / name, [(f"{index}", bytes(1_000_000)) for index in range(3)])
    with pytest.raises(UserError, match="looks like a decompression bomb: unpack it yourself"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_too_many_files_are_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_FILES", 5)
    with pytest.raises(UserError, match=r"more than 5 files.*unpack it yourself"):
        unpack(make_zip(tmp_path / "x.zip", [(f"{index}", b"") for index in range(9)]), tmp_path / "out")


@pytest.mark.parametrize(("make", "name"), [(make_tar, "x.tar.gz"), (make_zip, "x.zip")])
def test_a_truncated_archive_leaves_nothing(tmp_path, make, name):
    archive = make(tmp_path / name, [("a", bytes(range(256)) * 400), ("b", b"2")])
    archive.write_bytes(archive.read_bytes()[:-60])
    with pytest.raises(UserError, match="is damaged"):
        unpack(archive, tmp_path / "out")
    assert files_below(tmp_path / "out") == {}


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives, "_copy", full)
    with pytest.raises(OSError, match="No space left on device"):  # the caller knows the setting of the folder
        unpack(make_zip(tmp_path / "x.zip", GOOD), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
