from concurrent.futures import ThreadPoolExecutor

import pytest

from vision2.basics.errors import UserError
from vision2.runs import run_folder as folder
from vision2.runs.run_folder import check_can_write, create_run_dir
from vision2.runs.sweep_folder import create_sweep_dir


def test_the_folder_is_named_by_dataset_model_strategy_and_time(tmp_path):
    path = create_run_dir(tmp_path, "digits", "resnet20", "scratch")
    assert path.is_dir()
    assert path.parent == (tmp_path / "digits" / "resnet20-scratch").resolve()
    date, time, identifier = path.name.split("-")
    assert (len(date), len(time), len(identifier)) == (8, 6, 4)


def test_runs_started_together_get_different_folders(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: create_run_dir(tmp_path, "d", "m", "s"), range(64)))
    assert len(set(paths)) == 64


@pytest.mark.parametrize("claim", [lambda place: create_run_dir(place, "d", "m", "s"), create_sweep_dir])
def test_a_place_where_no_folder_can_be_created_is_refused_in_one_sentence(claim, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot create a .*set output_dir=FOLDER"):
        claim(tmp_path / "file")


def test_a_name_that_is_taken_is_replaced_by_another(tmp_path, monkeypatch):
    identifiers = iter(["aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr(folder.secrets, "token_hex", lambda _: next(identifiers))
    monkeypatch.setattr(folder, "datetime", FixedTime)
    first, second = (create_run_dir(tmp_path, "d", "m", "s") for _ in range(2))
    assert (first.name, second.name) == ("20250102-030405-aaaa", "20250102-030405-bbbb")


def test_when_every_name_is_taken_the_sentence_gives_another_place(tmp_path, monkeypatch):
    monkeypatch.setattr(folder.secrets, "token_hex", lambda _: "aaaa")
    monkeypatch.setattr(folder, "datetime", FixedTime)
    create_run_dir(tmp_path, "d", "m", "s")
    with pytest.raises(
        UserError, match=r"cannot create a run folder in .*: 100 names were taken; set output_dir=FOLDER to anot"
    ):
        create_run_dir(tmp_path, "d", "m", "s")


class FixedTime:
    @staticmethod
    def now():
        from datetime import datetime

        return datetime(2025, 1, 2, 3, 4, 5)


def test_a_model_name_with_slashes_is_one_folder(tmp_path):
    path = create_run_dir(tmp_path, "my/data", "hf-hub:timm/x", "scratch")
    assert path.parent == (tmp_path / "my_data" / "hf-hub_timm_x-scratch").resolve()


def test_an_output_dir_that_is_a_file_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="set output_dir=FOLDER"):
        create_run_dir(tmp_path / "file", "d", "m", "s")


def test_a_place_that_cannot_be_written_is_refused_in_advance_and_nothing_is_created(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file is not a folder; set output_dir=FOLDER"):
        check_can_write(tmp_path / "file" / "outputs")
    check_can_write(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    monkeypatch.setattr(folder.os, "access", lambda *_: False)
    with pytest.raises(
        UserError, match=rf"{tmp_path.name} is not writable; set output_dir=FOLDER to a folder you can write to"
    ):
        check_can_write(tmp_path / "a" / "b")
