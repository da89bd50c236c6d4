"""The report: one self-contained page for any folder of runs, even if some of them are broken."""

from __future__ import annotations

import base64
import csv
import errno
import io
import os
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_up_runs import break_run, configuration, make_run
from PIL import Image

from vision2.basics.errors import UserError
from vision2.basics.written import LIST
from vision2.pictures.images import CELL_PX, captioned_grid, save_figure
from vision2.report.__main__ import main
from vision2.report.build import write_report
from vision2.runs.sweep_folder import SweepFolder

PACKAGE = Path(__file__).resolve().parents[2] / "vision2"
EXPERIMENT = {
    "name": "degradation",
    "claim": "Residual nets beat plain ones.",
    "claim_es": "Las redes residuales superan a las planas.",
    "source": "He et al. 2016",
    "note": "Three epochs only.",
    "comparisons": [{"metric": "metrics.test.accuracy", "a": {"model.name": "resnet56"}, "b": {"model.name": "plain56"}}],
}

# Processor time, not wall-clock time, which depends on other work on the machine. VmHWM, not ru_maxrss, which starts at the
# size of the parent process.
MEASURED = """
import sys, time
from pathlib import Path
from vision2.report.__main__ import main
assert main(sys.argv[1:]) == 0
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(time.process_time(), int(status["VmHWM"].split()[0]) / 1000)
"""


class Page(HTMLParser):
    """The content of a page: attributes by tag, and text; fails on tags that are not closed."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, html: str):
        super().__init__()
        self.open, self.attributes, self.text = [], {}, ""
        self.feed(html)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.attributes.setdefault(tag, []).append(dict(attrs))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data + "\n"


@pytest.fixture
def folder(tmp_path):
    """Runs of two models with three seeds and pictures of mistakes, a failed run with HTML in its error, and a broken run."""
    for model, base in (("plain56", 0.6), ("resnet56", 0.8)):
        for seed in range(3):
            config = configuration(**{"model.name": model, "seed": seed, "experiment": EXPERIMENT})
            run = make_run(tmp_path, f"{model}-{seed}", config, accuracy=base + 0.01 * seed * (model == "resnet56"))
            (run / "artifacts").mkdir()
            Image.new("RGB", (40, 30), "red").save(run / "artifacts" / "mistakes_confident.png")
    config = configuration(**{"model.name": "plain56", "seed": 3, "experiment": EXPERIMENT})
    make_run(tmp_path, "plain56-3", config, status="failed", error="<script>alert(1)</script> loss is not finite")
    break_run(make_run(tmp_path, "torn", configuration()))
    return tmp_path


def test_the_page_parses_and_refers_to_nothing_outside_itself(folder):
    html = write_report(folder).page.read_text()
    page = Page(html)
    assert page.attributes["img"], "no pictures"
    for attributes in page.attributes["img"]:
        kind, _, data = attributes["src"].partition("base64,")
        assert kind == "data:image/png;" and attributes["alt"]
        Image.open(io.BytesIO(base64.b64decode(data))).verify()
    assert "script" not in page.attributes and not re.search(r"https?://|url\(|@import|//\w+\.\w+/", html)
    assert {attributes["href"][0] for attributes in page.attributes["a"]} == {"#"}
    anchors = {attributes.get("id") for attributes in page.attributes["section"]}
    assert {attributes["href"][1:] for attributes in page.attributes["a"]} == anchors


def test_claim_and_verdict_come_first_then_the_numbers(folder):
    report = write_report(folder)
    text = Page(report.page.read_text()).text
    order = [text.index(words) for words in ("Residual nets beat plain ones.", "The runs support the claim.", "81.00 %")]
    assert order == sorted(order) and report.verdict == "supported"
    for words in ("Three epochs only.", "He et al. 2016", "Learning curves", "python -m vision2.train model=resnet20"):
        assert words in text


def test_failed_and_broken_runs_are_named(folder):
    report = write_report(folder)
    text = Page(report.page.read_text()).text
    assert "plain56-3" in text and "<script>alert(1)</script> loss is not finite" in text
    assert "torn" in text and "summary.json is not valid JSON" in text
    assert "torn: summary.json is not valid JSON" in report.text and "seed 3 (failed)" in report.text


def test_everything_is_written_next_to_the_page(folder):
    out = write_report(folder).page.parent
    markdown = (out / "report.md").read_text()
    links = re.findall(r"!\[.*?\]\((.*?)\)", markdown)
    assert {"loss.png", "accuracy.png", "confusion-0.png", "calibration.png", "mistakes-confident-0.png"} <= set(links)
    assert all((out / link).is_file() for link in links)
    rows = list(csv.DictReader((out / "table.csv").open()))
    assert [(row["configuration"], row["n"]) for row in rows] == [("plain56", "3"), ("resnet56", "3")]
    assert (out / "table.md").exists()


def test_the_claim_of_a_sweep_is_judged_even_if_its_runs_were_made_under_another_claim(folder):
    """A sweep with skip_finished reuses runs of an earlier sweep, whose claim may have been different."""
    comparison = {"metric": "parameters", "a": {"model.name": "plain56"}, "b": {"model.name": "resnet56"}}
    experiment = {"name": "smoke", "claim": "A new claim.", "comparisons": [comparison]}
    SweepFolder(folder).describe("python -m vision2.train experiment=smoke", experiment)
    text = Page(write_report(folder).page.read_text()).text
    assert "Networks: plain56, resnet56. Weights: none. Data:" in text
    assert "A new claim." in text and "python -m vision2.train experiment=smoke" in text


def test_a_second_report_replaces_the_first_and_is_not_read_as_a_run(folder):
    first = write_report(folder)
    assert (first.page.parent / "mistakes-confident-0.png").exists()
    for picture in folder.rglob("mistakes_confident.png"):
        picture.unlink()
    second = write_report(folder)
    assert second.text == first.text and not (first.page.parent / "mistakes-confident-0.png").exists()


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGTERM), 143),
        (lambda: os.kill(os.getpid(), signal.SIGINT), 130),
        (lambda: _raise(OSError(errno.ENOSPC, "No space left on device")), 2),
    ],
    ids=["SIGTERM", "Ctrl-C", "full disk"],
)
def test_a_report_that_cannot_be_finished_leaves_the_previous_one_unchanged(stop, code, folder, monkeypatch, capsys):
    write_report(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr("vision2.report.sections.add_pictures", lambda document, material: stop())
    assert main([str(folder)]) == code
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert capsys.readouterr().err.count("\n") == 1


def _raise(error):
    raise error


def test_the_users_files_are_neither_deleted_nor_overwritten(folder):
    out = write_report(folder).page.parent
    (out / "photo.png").write_bytes(b"mine")
    write_report(folder)
    assert (out / "photo.png").read_bytes() == b"mine"
    other = folder / "digits"
    make_run(other, "a", configuration())
    (other / "report").mkdir()
    (other / "report" / "report.html").write_text("mine")
    with pytest.raises(UserError, match=r"report.html was not written by vision2.*move or delete it"):
        write_report(other)
    assert [file.name for file in (other / "report").iterdir()] == ["report.html"]


def test_a_report_of_a_version_that_kept_no_list_is_replaced_but_other_files_are_kept(folder):
    out = write_report(folder).page.parent
    (out / LIST).unlink()
    (out / "photo.png").write_bytes(b"mine")
    for picture in folder.rglob("mistakes_confident.png"):
        picture.unlink()
    write_report(folder)
    assert (out / "photo.png").exists() and not (out / "mistakes-confident-0.png").exists()


def test_the_page_can_be_in_spanish(folder):
    page = Page(write_report(folder, language="es").page.read_text())
    assert page.attributes["html"][0]["lang"] == "es"
    for words in (
        "Las redes residuales superan a las planas.",
        "respaldada",
        "Curvas de aprendizaje",
        "exactitud en prueba",
    ):
        assert words in page.text
    assert "Learning curves" not in page.text


def test_runs_without_an_experiment_have_a_page_too(tmp_path):
    make_run(tmp_path, "a", configuration())
    report = write_report(tmp_path)
    assert report.verdict is None
    text = Page(report.page.read_text()).text
    assert "90.00 %" in text and "claim" not in text and "that failed" not in text, "empty sections"


def test_an_experiment_without_a_claim_has_no_claim_section(tmp_path):
    make_run(tmp_path, "a", configuration(experiment={"name": "trial", "comparisons": []}))
    assert "claim" not in Page(write_report(tmp_path).page.read_text()).text


def test_the_title_names_experiment_models_data_and_date(folder, tmp_path):
    assert "<h1>degradation: plain56, resnet56 on digits, 20" in write_report(folder).page.read_text()
    for number in range(6):
        make_run(tmp_path / "b", f"20260504-12000{number}-ab", configuration(**{"model.name": f"net{number}"}))
    assert "<h1>net0, net1, net2, net3 and 2 more on digits, 2026-05-04</h1>" in write_report(tmp_path / "b").page.read_text()


def test_the_table_shows_the_main_columns_and_the_others_are_collapsed(folder):
    page = Page(write_report(folder).page.read_text())
    labels = [attributes["data-label"] for attributes in page.attributes["td"]]
    first = labels[labels.index("configuration") :][:6]
    assert first == ["configuration", "network, weights, data", "n", "test accuracy", "interval covers", "configuration"]
    assert len(page.attributes["details"]) == 1 and "peak memory MB" not in labels and "seconds" in labels
    fold = page.text.index("More columns")
    assert page.text.index("81.00 %") < fold < page.text.index("40.80 M")
    for words in ("plain56, random initialisation, digits", "resnet56, random initialisation, digits"):
        assert words in page.text


def test_a_grid_of_pictures_is_cut_into_cells_that_wrap_and_empty_cells_are_dropped(tmp_path):
    run = make_run(tmp_path, "a", configuration())
    (run / "artifacts").mkdir()
    seven = [np.full((8, 8, 3), 30 * number, np.uint8) for number in range(7)]
    save_figure(captioned_grid(seven, ["a → b"] * 7), run / "artifacts" / "mistakes_confident.png")
    save_figure(captioned_grid(seven[:6], ["a → b"] * 6), run / "artifacts" / "gradcam.png")
    pieces = Page(write_report(tmp_path).page.read_text()).attributes["img"]
    sizes = [
        Image.open(io.BytesIO(base64.b64decode(piece["src"].partition("base64,")[2]))).size
        for piece in pieces
        if "mistakes" in piece["alt"] or "Grad-CAM" in piece["alt"]
    ]
    assert sizes == [CELL_PX] * 7 + [(3 * CELL_PX[0], CELL_PX[1])] * 2


def test_a_caption_that_repeats_an_axis_is_only_alternative_text(folder):
    html = write_report(folder).page.read_text()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    assert captions == ["plain56", "resnet56", "plain56: most confident mistakes", "resnet56: most confident mistakes"]
    assert {"Loss", "Accuracy", "Calibration"} <= {attributes["alt"] for attributes in Page(html).attributes["img"]}


def test_runs_without_epochs_artifacts_or_test_metrics_are_shown_with_the_metrics_they_have(tmp_path):
    for name, accuracy in (("a", 0.7), ("b", 0.8)):
        config = configuration(**{"model.name": name})
        run = make_run(tmp_path, name, config, metrics={"val": {"accuracy": accuracy}}, trainable_map=None, classes=None)
        (run / "metrics.jsonl").unlink()
    assert "80.00 %" in Page(write_report(tmp_path).page.read_text()).text


def test_a_folder_of_failed_runs_has_a_page_that_says_so(tmp_path):
    make_run(tmp_path, "a", configuration(), status="failed", error="out of memory")
    assert "out of memory" in Page(write_report(tmp_path).page.read_text()).text


@pytest.mark.parametrize("values", [[0.001, 0.01, 0.1], ["stem", "stage1", None]])
def test_a_swept_key_has_its_own_figure(tmp_path, values):
    for seed in (0, 1):
        for number, value in enumerate(values):
            config = configuration(**{"strategy.lr": value, "seed": seed})
            make_run(tmp_path, f"{seed}-{number}", config, accuracy=0.5 + 0.1 * number + 0.01 * seed)
    assert (write_report(tmp_path).page.parent / "by-strategy-lr.png").is_file()


def test_the_command_takes_the_folder_by_position_or_by_name(folder, capsys):
    assert main([str(folder)]) == 0
    assert main([f"folder={folder}", "report.language=es"]) == 0
    assert "veredicto: respaldada" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no folder of runs was given; type python -m vision2.report <folder>"),
        (["nowhere"], "there is no folder nowhere"),
        (["report.language=de", "."], "it must be en or es"),
        (["languge=es", "."], "unknown setting"),
    ],
)
def test_user_mistakes_are_reported_in_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"no run in .* can be reported; name a folder that contains run folders, such as outputs$"
    ):
        write_report(tmp_path)
    break_run(make_run(tmp_path, "torn", configuration()))
    with pytest.raises(UserError, match=r"can be reported; .*torn: summary.json is not valid JSON$"):
        write_report(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc, as on Linux")
def test_two_hundred_runs_take_less_than_20_seconds_and_500_megabytes(tmp_path):
    folder = tmp_path / "runs"
    for number in range(200):
        config = configuration(**{"model.name": f"net{number // 20}", "strategy.lr": number // 4 % 5 / 10, "seed": number % 4})
        make_run(folder, f"{number:03d}", config, accuracy=0.5 + 0.001 * number)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(folder)], capture_output=True, text=True, cwd=PACKAGE.parent, timeout=120
    )
    seconds, megabytes = map(float, done.stdout.splitlines()[-1].split())
    assert seconds < 20 and megabytes < 500


def test_a_second_folder_is_refused(capsys):
    assert main(["one", "two"]) == 2
    assert "cannot read 'two'" in capsys.readouterr().err
