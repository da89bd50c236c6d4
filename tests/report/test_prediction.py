"""Predict first: the question before the runs, and the prediction beside the result."""

from __future__ import annotations

from made_up_runs import configuration, make_run

from vision2.report.build import write_report
from vision2.report.prediction import before_the_runs
from vision2.report.settings import ExperimentConfig

ASKED = ExperimentConfig(name="degradation", question="Which network fits best?", question_es="¿Qué red se ajusta mejor?")


def test_the_question_is_asked_in_the_language_of_the_page_with_the_way_to_answer_it():
    assert before_the_runs(ASKED, None, "en").splitlines() == [
        "Before you look: Which network fits best?",
        "To see your answer beside the result, start again with 'prediction=\"YOUR ANSWER\"'",
    ]
    assert before_the_runs(ASKED, None, "es").startswith("Antes de mirar: ¿Qué red se ajusta mejor?")


def test_a_prediction_that_was_given_is_not_asked_for_again():
    assert before_the_runs(ASKED, "the plain one", "en").splitlines()[1:] == ["Your prediction: the plain one"]
    assert before_the_runs(ExperimentConfig(), None, "en") is None


def test_the_page_shows_the_prediction_with_the_time_of_the_first_run(tmp_path):
    for name, seed in (("20261126-101500-aaaa", 1), ("20261126-090007-bbbb", 0)):
        config = configuration(seed=seed, prediction="Plain <b>wins</b>", experiment=vars(ASKED))
        make_run(tmp_path, name, config)
    report = write_report(tmp_path)
    page = report.page.read_text()
    assert "Plain &lt;b&gt;wins&lt;/b&gt; (written 2026-11-26 09:00, before the first result)" in page
    assert report.text.splitlines()[-3:-1] == [
        "Your prediction: Plain <b>wins</b>",
        "to discuss: docs/lecture.md, experiment=degradation",
    ]


def test_runs_without_a_prediction_have_no_such_section(tmp_path):
    make_run(tmp_path, "20261126-090007-bbbb", configuration())
    assert "Prediction" not in write_report(tmp_path).page.read_text()


def test_a_prediction_does_not_make_another_configuration_of_a_run(tmp_path):
    for seed, prediction in ((0, "yes"), (1, "no")):
        make_run(tmp_path, f"run-{seed}", configuration(seed=seed, prediction=prediction))
    assert "| 2 |" in (write_report(tmp_path).page.parent / "report.md").read_text()
