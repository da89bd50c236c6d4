"""What vision2 writes among the user's images is never read as a class or a photograph."""

from __future__ import annotations

import shutil

import pytest
from made_up_images import class_folders, write_images

from vision2 import advise, audit, few_shot, preview
from vision2.config.compose import load_config
from vision2.data.datasets import find_collection
from vision2.data.files.layouts import read_layout
from vision2.data.files.listing import list_images
from vision2.data.files.locations import data_name
from vision2.jobs.run_job import run_recorded
from vision2.runs.sweep_folder import SweepFolder, create_sweep_dir

TINY = ["model=resnet20", "dataset=folder", "dataset.image_size_px=16", "train.epochs=1", "device=cpu", "train.batch_size=8"]


def ids(root):
    return [entry.id for entry in list_images(root)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, no_pictures):
    """A data root with everything that vision2's commands may write there, and its images before that."""
    root = tmp_path_factory.mktemp("photos")
    class_folders(root, ant=12, bee=12)
    before = ids(root)
    words = [*TINY, f"dataset.root={root}", f"output_dir={root / 'outputs'}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vision2.experiment._picture", no_pictures)
        assert run_recorded(load_config(words), "the command").status == "completed"
    assert list((root / "outputs").rglob("*.png"))
    SweepFolder(create_sweep_dir(root / "new")).describe("", {})  # a sweep before its first job
    assert audit.main(words[1:]) == 0
    first = next(root.iterdir()).name
    for out in (root / "preview.png", root / first / "preview.png"):
        assert preview.main([*words, f"out={out}", "count=2"]) == 0
    return root, before


def test_runs_pictures_and_reports_inside_the_data_root_are_left_out(trained):
    root, before = trained
    assert ids(root) == before
    assert {id.partition("/")[0] for id in before} == set(read_layout(root).classes)


def test_a_second_run_there_trains_on_the_same_images(trained):
    root, before = trained
    outcome = run_recorded(load_config([*TINY, f"dataset.root={root}", f"output_dir={root / 'outputs'}"]), "the command")
    assert outcome.status == "completed" and ids(root) == before


def test_results_in_a_zip_are_left_out_too(trained, tmp_path):
    root, before = trained
    packed = shutil.make_archive(str(tmp_path / "photos"), "zip", root)
    collection = find_collection(load_config(["dataset=folder", f"dataset.root={packed}"]).dataset)
    assert list(collection.ids) == before


def test_the_users_own_files_with_the_same_names_hide_nothing(tmp_path):
    write_images(tmp_path, ["a/1.jpg", "b/2.jpg"])
    for name in ("config.yaml", "summary.json", "a/config.yaml", "b/summary.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "a" / ".vision2.jsonl").write_text('"other.png"\n[1]\ntorn')
    assert ids(tmp_path) == ["a/1.jpg", "b/2.jpg"]


def test_results_on_different_roots_have_different_names(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    assert data_name("digits", None) == "digits"
    assert data_name("folder", "a") == data_name("folder", tmp_path / "b" / ".." / "a")
    assert data_name("folder", "a") != data_name("folder", "b")
    assert len(data_name("folder", "a")) == len("folder-") + 8


def test_audits_and_previews_of_two_roots_do_not_overwrite_each_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        class_folders(tmp_path / name, ant=9, bee=9)
        words = ["dataset=folder", f"dataset.root={name}", "dataset.image_size_px=16"]
        assert audit.main(words) == 0
        assert preview.main([*words, "model=resnet20", "count=2"]) == 0
    assert len(list(tmp_path.glob("outputs/audit/folder-*/audit.json"))) == 2
    assert len(list(tmp_path.glob("preview-folder-*-resnet20.png"))) == 2


def test_few_shot_curves_and_advice_for_two_roots_do_not_overwrite_each_other(tmp_path, monkeypatch):
    asked = []

    def stop(self, folder, *names):
        asked.append((folder, names))
        raise KeyboardInterrupt

    monkeypatch.setattr("vision2.basics.written.WrittenFiles.__init__", stop)
    (tmp_path / "source").mkdir()
    for root in ("a", "b"):
        (tmp_path / root).mkdir()
        words = ["dataset=folder", f"dataset.root={tmp_path / root}", f"strategy.source={tmp_path / 'source'}"]
        assert few_shot.main(words) == advise.main(words) == 130
    assert len(asked) == len(set(asked)) == 4
