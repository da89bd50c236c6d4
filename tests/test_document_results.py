"""The script that copies measured results into the guides reads the report of a sweep, whichever columns it has."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_runs import configuration, make_run

from vision2.runs.sweep_folder import SweepFolder

ROOT = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location("document_results", ROOT / "scripts" / "document_results.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)

COMMAND = "python -m vision2.train experiment=degradation seed=0,1 dataset.root=/home/ana/data device=cuda output_dir=/tmp/x"
EXPERIMENT = {
    "name": "degradation",
    "claim": "Residual nets beat plain ones.",
    "comparisons": [{"metric": "metrics.test.accuracy", "a": {"model.name": "resnet56"}, "b": {"model.name": "plain56"}}],
}


def sweep(tmp_path, fault=None, **more) -> Path:
    folder = tmp_path / "sweeps" / "s"
    folder.mkdir(parents=True)
    SweepFolder(folder).describe(COMMAND, EXPERIMENT, jobs=4)
    for model, accuracy in (("plain56", 0.6), ("resnet56", 0.8)):
        for seed in range(2):
            config = configuration(**{"model.name": model, "seed": seed, "experiment": EXPERIMENT, "fault": fault})
            run = make_run(tmp_path, f"{model}-{seed}", config, accuracy=accuracy, **more)
            SweepFolder(folder).add({"command": f"... seed={seed}", "status": "completed", "error": None, "run": str(run)})
    return folder


def table_of(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.split("\n\n")[2].splitlines()]


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_train_accuracy_is_found_by_its_heading(tmp_path, language):
    folder = sweep(tmp_path)
    runs, _ = script.read_runs(folder)
    headings, _, *rows = table_of(script.result(folder, runs, language))
    assert headings[-1] == {"en": "train accuracy", "es": "exactitud en entrenamiento"}[language]
    assert all("%" in row[-1] for row in rows)
    metrics = {split: runs[0].summary["metrics"][split] for split in ("test", "train")}  # without validation accuracy
    folder = sweep(tmp_path / "other", metrics=metrics)
    runs, _ = script.read_runs(folder)
    headings, _, *rows = table_of(script.result(folder, runs, language))
    assert headings[-1] == {"en": "train accuracy", "es": "exactitud en entrenamiento"}[language]


@pytest.mark.parametrize(("language", "word"), [("en", "inconclusive"), ("es", "no concluyente")])
def test_the_verdict_is_quoted_and_not_the_warning_that_a_fault_was_made_on_purpose(tmp_path, language, word):
    folder = sweep(tmp_path, fault="no_shuffle")
    runs, _ = script.read_runs(folder)
    assert script.result(folder, runs, language).startswith(f"**{word}**")
    assert " | inconclusive: " in script.summary_row("degradation", folder, runs)


def test_a_sweep_without_train_accuracy_is_described_without_it(tmp_path):
    folder = sweep(tmp_path)
    metrics = script.read_runs(folder)[0][0].summary["metrics"]
    folder = sweep(tmp_path / "other", metrics={"test": metrics["test"]})
    headings, *_ = table_of(script.result(folder, script.read_runs(folder)[0], "en"))
    assert "train accuracy" not in headings


def test_the_command_is_the_one_recorded_for_the_sweep_without_places_of_the_machine(tmp_path):
    text = script.result(sweep(tmp_path), script.read_runs(tmp_path / "sweeps" / "s")[0], "en")
    assert "`python -m vision2.train experiment=degradation seed=0,1 dataset.root=.../data`" in text


@pytest.mark.parametrize("words", [[], ["absent"], ["a", "b"]])
def test_a_wrong_argument_gives_one_line_and_exit_code_2(words, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "document_results.py", *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "python scripts/document_results.py outputs/sweeps" in done.stderr


def test_a_row_of_the_readme_names_the_networks_weights_and_data_that_ran(tmp_path):
    folder = sweep(tmp_path, weights={"source": "/home/ana/mobilenet.safetensors"})
    runs, _ = script.read_runs(folder)
    script.write_report(folder)
    row = script.summary_row("degradation", folder, runs)
    assert "plain56, resnet56 (mobilenet.safetensors) on digits; 4 runs, 2 seeds, n = 60 test" in row
