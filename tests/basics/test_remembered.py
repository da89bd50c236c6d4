"""A result is found once for the same facts; whatever is wrong with the file, it is found again."""

from __future__ import annotations

import pytest

from vision2.basics.remembered import remembered


@pytest.fixture
def found():
    return []


@pytest.fixture
def find(found):
    def find():
        found.append(len(found))
        return [len(found), 2.5]

    return find


def test_equal_facts_are_found_once_and_others_again(tmp_path, find, found):
    assert [remembered(tmp_path / "new", ["a", 1], find) for _ in range(3)] == [[1, 2.5]] * 3
    assert remembered(tmp_path / "new", ["a", 2], find) == [2, 2.5]
    assert len(found) == 2


def test_without_a_folder_nothing_is_kept(find, found):
    assert remembered(None, "a", find) != remembered(None, "a", find)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "3", "\x00"])
def test_a_damaged_file_is_replaced(tmp_path, find, content):
    remembered(tmp_path, "a", find)
    (file,) = tmp_path.iterdir()
    file.write_text(content)
    assert remembered(tmp_path, "a", find) == [2, 2.5]
    assert remembered(tmp_path, "a", find) == [2, 2.5]


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path, find):
    (tmp_path / "file").touch()
    assert remembered(tmp_path / "file", "a", find) == [1, 2.5]
