from __future__ import annotations

from made_up_images import class_folders

from vision2 import cache
from vision2.data.files.listing import list_images
from vision2.data.settings import DatasetConfig
from vision2.data.store.store import open_store


def fill(tmp_path):
    """A store in tmp_path/cache; it is in use for as long as the returned images live."""
    files = list_images(class_folders(tmp_path / "photos", cat=3))
    config = DatasetConfig("folder", cache_dir=str(tmp_path / "cache"), cache_gb=1.0, max_bad_share=0.0)
    return open_store(files, config, store_px=24)[0]


def test_list_shows_size_images_and_where_they_came_from(tmp_path, capsys):
    fill(tmp_path)
    assert cache.main(["list", f"dir={tmp_path / 'cache'}"]) == 0
    output = capsys.readouterr().out
    assert ": 1 store," in output
    assert "3 images at   24 px" in output
    assert str(tmp_path / "photos") in output


def test_clear_deletes_only_stores_that_no_process_uses(tmp_path, capsys):
    images = fill(tmp_path)
    (tmp_path / "cache/downloads").mkdir()
    cache.main(["clear", f"dir={tmp_path / 'cache'}"])
    assert "kept: a process is using it" in capsys.readouterr().out
    assert images.read(0).shape == (24, 32, 3)
    del images
    cache.main(["clear", f"dir={tmp_path / 'cache'}"])
    assert "deleted" in capsys.readouterr().out
    assert list((tmp_path / "cache/stores").iterdir()) == []
    assert (tmp_path / "cache/downloads").is_dir()


def test_an_empty_cache_is_not_an_error(tmp_path, capsys):
    assert cache.main(["list", f"dir={tmp_path / 'none'}"]) == 0
    assert ": 0 stores," in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_an_unknown_action_is_refused_in_one_sentence(capsys):
    assert cache.main(["clean"]) == 2
    assert capsys.readouterr().err.strip() == "error: unknown action 'clean', did you mean 'clear'?"
