"""Files are replaced completely or not at all, and a path that cannot be written is reported in one sentence."""

from __future__ import annotations

import pytest

from vision2.basics.atomic_write import replacing, write_json, write_text
from vision2.basics.errors import UserError


def test_a_failure_leaves_the_old_content_and_no_temporary_file(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "old")
    with pytest.raises(ZeroDivisionError), replacing(file) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_number_that_json_cannot_hold_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_a_user_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*a\.txt: .*file is not a folder; choose a path that you can write to"):
        write_text(tmp_path / "file" / "a.txt", "x")
    with (
        pytest.raises(UserError, match=r"cannot write .*No space left on device; free some space"),
        replacing(tmp_path / "b") as temporary,
    ):
        raise OSError(28, "No space left on device", str(temporary))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
