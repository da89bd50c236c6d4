"""Every text of a report in Spanish."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from made_up_runs import configuration, make_run

from vision2.report.build import write_report
from vision2.report.claim import HOW_TO_READ, REASONS, SECOND_LOOK, SENTENCES
from vision2.report.sections import BATCHNORM, COSTS, ENDED, ENVIRONMENT
from vision2.report.sections import HOW_TO_READ as HOW_TO_READ_RESULTS
from vision2.report.seeds import WHAT_VARIES
from vision2.report.tables import COLUMNS, FAILED_SEED
from vision2.report.texts import spanish
from vision2.runs.read import STATUSES

PACKAGE = Path(__file__).resolve().parents[2] / "vision2"


def test_states_of_runs_and_of_batch_norm_are_in_spanish_too(tmp_path):
    rows = [{"stage": "stem", "parameters": 10, "learning": 10, "batchnorm": name, "lr": [0.1]} for name in BATCHNORM]
    make_run(tmp_path, "done", configuration(), trainable_map=[*rows, {**rows[0], "batchnorm": "of another version"}])
    for seed, status in enumerate(("failed", "interrupted", "died"), start=3):
        make_run(tmp_path, f"run-{seed}", configuration(seed=seed), status=status, error="why")
    page = write_report(tmp_path, language="es").page.with_name("report.md").read_text()
    for words in (
        "fallida: why",
        "interrumpida: why",
        "semilla 3 (fallida)",
        "semilla 4 (interrumpida)",
        "semilla 5 (terminó de golpe)",
    ):
        assert words in page
    assert re.findall(r"10 \| 10 \| (.*) \| 0.1", page) == ["se adapta", "congelada", "ninguno", "of another version"]
    assert "| dispositivo | cpu |" in page
    assert not re.search("seed 3|failed|interrupted|died|adapts", page.partition("Entorno")[0])


def test_every_text_of_a_report_has_a_spanish_translation_with_the_same_placeholders():
    said = {HOW_TO_READ, SECOND_LOOK, HOW_TO_READ_RESULTS, *SENTENCES, *SENTENCES.values(), *REASONS.values()}
    said |= {*WHAT_VARIES.values(), *BATCHNORM, *ENVIRONMENT, *ENDED.values(), *FAILED_SEED.values()}
    assert {*ENDED} == {*FAILED_SEED} == {*STATUSES} - {"completed"}
    said |= {name for name, _ in COLUMNS} | {label for _, label, _ in COSTS}
    for file in sorted((PACKAGE / "report").glob("*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            name = isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", ""))
            if name in ("say", "note", "_copied"):
                choices = [[each.body, each.orelse] if isinstance(each, ast.IfExp) else [each] for each in call.args]
                said |= {text.value for texts in choices for text in texts if isinstance(text, ast.Constant)}
    said -= {"gradcam", "filters", "mistakes_confident", "mistakes_worst"}  # files
    assert len(said) > 50 and said <= set(spanish())
    for english, words in spanish().items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", words)), english
