"""Files that vision2 did not write are never deleted or overwritten."""

import pytest

from vision2.basics.errors import UserError
from vision2.basics.written import LIST, WrittenFiles


def write(folder, *names):
    files = WrittenFiles(folder)
    for name in names:
        path = files.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("ours")


def test_what_was_written_before_may_be_written_again(tmp_path):
    write(tmp_path, "a.txt", "maps/b.png")
    write(tmp_path, "a.txt", "maps/b.png")
    assert (tmp_path / LIST).read_text().count("\n") == 2


@pytest.mark.parametrize("name", ["a.txt", "maps/b.png"])
def test_a_user_file_in_the_way_is_refused_in_one_sentence_and_kept(name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=rf"{name} .*not written by vision2.*move") as raised:
        write(tmp_path, "other.txt", name)
    assert len(raised.value.problems) == 1
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_can_be_checked_before_any_work_without_creating_it(tmp_path):
    WrittenFiles(tmp_path / "new", "a.txt")
    assert not (tmp_path / "new").exists()
    (tmp_path / "b.txt").write_text("mine")
    with pytest.raises(UserError, match=r"b\.txt"):
        WrittenFiles(tmp_path, "a.txt", "b.txt")


def test_clearing_removes_what_was_written_and_nothing_else(tmp_path):
    write(tmp_path, "a.png", "maps/b.png")
    (tmp_path / "mine.png").write_text("mine")
    (tmp_path / "maps" / "mine.png").write_text("mine")
    WrittenFiles(tmp_path).clear()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["maps", "mine.png", "mine.png"]


def test_renewed_files_replace_all_that_was_written_before_and_nothing_else(tmp_path):
    write(tmp_path, "a.png", "old.png")
    (tmp_path / "mine.png").write_text("mine")
    with WrittenFiles(tmp_path).renewed() as new:
        new.path("a.png").write_text("newer")
        new.path("b.png").write_text("newer")
        assert (tmp_path / "a.png").read_text() == "ours"
    assert sorted(path.name for path in tmp_path.iterdir()) == [LIST, "a.png", "b.png", "mine.png"]
    assert (tmp_path / "a.png").read_text() == "newer"
    assert (tmp_path / LIST).read_text().split() == ['"a.png"', '"b.png"']


@pytest.mark.parametrize("existed", [True, False])
def test_what_ends_a_renewal_early_leaves_the_folder_as_it_was(existed, tmp_path):
    if existed:
        write(tmp_path / "folder", "a.png")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt), WrittenFiles(tmp_path / "folder").renewed() as new:
        new.path("a.png").write_text("half")
        raise KeyboardInterrupt
    assert sorted(tmp_path.rglob("*")) == before
    assert not existed or (tmp_path / "folder" / "a.png").read_text() == "ours"


def test_a_file_of_the_users_is_not_replaced_by_a_renewed_one(tmp_path):
    write(tmp_path, "a.png")
    (tmp_path / "b.png").write_text("mine")
    with pytest.raises(UserError, match=r"b\.png"), WrittenFiles(tmp_path).renewed() as new:
        new.path("a.png").write_text("newer")
        new.path("b.png").write_text("newer")
    assert [(tmp_path / name).read_text() for name in ("a.png", "b.png")] == ["ours", "mine"]


def test_a_file_that_the_user_puts_in_place_of_a_cleared_one_is_not_ours(tmp_path):
    write(tmp_path, "a.png")
    WrittenFiles(tmp_path).clear()
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(UserError):
        write(tmp_path, "a.png")


@pytest.mark.parametrize("line", ['"../mine.txt"', '"link/mine.txt"', '"{outside}/mine.txt"', "[1]", "torn"])
def test_a_list_from_elsewhere_cannot_name_files_outside_its_folder(line, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    (folder / LIST).write_text(line.replace("{outside}", str(tmp_path)) + "\n")
    WrittenFiles(folder).clear()
    assert (tmp_path / "mine.txt").exists()


def test_files_of_a_version_without_a_list_can_be_adopted_only_if_there_is_none(tmp_path):
    (tmp_path / "old.png").write_text("ours")
    WrittenFiles(tmp_path).adopt(["old.png", "gone.png"])
    (tmp_path / "mine.png").write_text("mine")
    WrittenFiles(tmp_path).adopt(["mine.png"])
    WrittenFiles(tmp_path).clear()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]
