"""Class and file names with control characters never reach a terminal, a page, a text table or a figure unescaped."""

from __future__ import annotations

import warnings

import pytest
from made_up_images import class_folders, encoded, write_images

from vision2 import audit, cache, export, preview
from vision2.basics.errors import UserError
from vision2.basics.safe_text import printable_lines
from vision2.basics.text_table import as_csv, as_markdown, as_text
from vision2.config.command import fail
from vision2.config.compose import load_config
from vision2.jobs.run_job import report_outcome, run_recorded
from vision2.pictures.plots import figure_text
from vision2.report import __main__ as report

RED = "red\x1b[31m"
REVERSED = "b\u202eeulb"
DOLLARS = "$\\no$"  # matplotlib would read a formula, and fail
SHOWN = ("red\\u001b[31m", "b\\u202eeulb")
PAGES = ("*.txt", "*.md", "*.html", "*.csv")
TINY = ["model=resnet20", "dataset=folder", "dataset.image_size_px=16", "train.epochs=2", "train.batch_size=8", "device=cpu"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = class_folders(tmp_path_factory.mktemp("photos"), **{RED: 10, REVERSED: 10, DOLLARS: 10})
    write_images(root, [f"{RED}/sub{RED}/copy.jpg"])
    (root / RED / f"broken{RED}.jpg").write_bytes(b"<html>404</html>")
    (root / RED / f"note.{RED}").write_bytes(b"a note")
    for name in (RED, REVERSED):
        (root / name / f"same{REVERSED}.jpg").write_bytes(encoded(99))
    return root


def said(capsys, *names):
    """What was printed, after checking that it is printable and that these names are in it."""
    printed = "".join(capsys.readouterr())
    lines = [part for line in printed.split("\n") for part in line.split("\r")]  # progress bars return to the line's start
    assert [line for line in lines if line != printable_lines(line)] == []
    assert [name for name in names if name not in printed] == []


def are_printable(folder):
    files = [file for pattern in PAGES for file in folder.rglob(pattern)]
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert text == printable_lines(text), file.name
    return files


def test_the_audit_escapes_them(photos, tmp_path, capsys):
    assert audit.main(["dataset=folder", f"dataset.root={photos}", "dataset.max_bad_share=1", f"out={tmp_path}"]) == 0
    said(capsys, *SHOWN)
    assert {file.name for file in are_printable(tmp_path)} >= {"audit.txt", "audit.html"}
    assert all(name in (tmp_path / "audit.html").read_text() for name in SHOWN)


def test_training_its_report_and_the_export_escape_them(photos, tmp_path, capsys):
    words = [*TINY, f"dataset.root={photos}", "dataset.max_bad_share=1", f"output_dir={tmp_path}"]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        outcome = run_recorded(load_config(words), "python -m vision2.train")
        assert report_outcome(outcome) == 0
        said(capsys, SHOWN[0])
        assert report.main([str(tmp_path)]) == 0
        said(capsys)
    assert are_printable(tmp_path)
    assert export.main([f"checkpoint={outcome.run_dir}"]) == 0
    said(capsys, *SHOWN)


def test_a_preview_escapes_them(photos, tmp_path, capsys):
    words = [*TINY, f"dataset.root={photos}", "dataset.max_bad_share=1", "dataset.augment.mixup=0.5"]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        assert preview.main([*words, "count=24", f"out={tmp_path / 'grid.png'}"]) == 0
    said(capsys, SHOWN[0])


def test_the_list_of_stores_escapes_the_folders_they_came_from(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("VISION2_CACHE", str(tmp_path / "cache"))
    root = class_folders(tmp_path / RED, ash=8, oak=8)
    load_and_store = ["dataset=folder", f'dataset.root="{root}"', "model=resnet20", f"out={tmp_path / 'grid.png'}", "count=2"]
    assert preview.main(load_and_store) == 0
    capsys.readouterr()
    assert cache.main(["list"]) == 0
    said(capsys, SHOWN[0])


def test_errors_escape_them_and_still_list_one_problem_per_line(capsys):
    assert fail(UserError(f"'{RED}' is no class", "second")) == 2
    assert capsys.readouterr().err == f"error: '{SHOWN[0]}' is no class\nerror: second\n"


@pytest.mark.parametrize("table", [as_text, as_markdown, as_csv])
def test_tables_escape_them(table):
    lines = table(["class", "n"], [[RED, "1"], ["two\nlines", "2"]]).split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    assert len([line for line in lines if "lines" in line or RED[:3] in line]) == 2


def test_a_figure_shows_dollar_signs_and_line_breaks_as_they_are():
    assert figure_text(f"{RED}\n{DOLLARS}") == f"{SHOWN[0]}\n\\$\\no\\$"
