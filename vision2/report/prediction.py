"""Predict first: an experiment's question is printed before its runs, and the page shows what was predicted."""

from __future__ import annotations

from vision2.report.document import Document, Text
from vision2.report.material import Material
from vision2.report.settings import ExperimentConfig
from vision2.report.texts import translator

GUIDES = {"en": "docs/lecture.md", "es": "docs/clase.es.md"}


def before_the_runs(experiment: ExperimentConfig, prediction: str | None, language: str) -> str | None:
    """The experiment's question, and the prediction or how to give one; None if there is neither."""
    say, lines = translator(language), []
    if question := (language == "es" and experiment.question_es) or experiment.question:
        lines.append(say("Before you look: {question}", question=question))
    if prediction:
        lines.append(say("Your prediction: {prediction}", prediction=prediction))
    elif lines:
        lines.append(say("To see your answer beside the result, start again with 'prediction=\"YOUR ANSWER\"'"))
    return "\n".join(lines) or None


def add_prediction(document: Document, material: Material) -> None:
    """Add a section with each prediction and the time of the first run that has it."""
    first: dict[str, str] = {}
    for run in sorted(material.runs, key=lambda run: run.started):
        if prediction := run.config.get("prediction"):
            first.setdefault(str(prediction), run.started)
    if first:
        words = "{prediction} (written {time}, before the first result)"
        found = (material.say(words, prediction=prediction, time=time) for prediction, time in first.items())
        document.add(material.say("Prediction"), *map(Text, found))


def after_the_runs(material: Material, experiment: ExperimentConfig | None) -> list[str]:
    """The predictions again, to print below the table, and where the experiment's questions are discussed."""
    say = material.say
    predictions = dict.fromkeys(found for run in material.runs if (found := run.config.get("prediction")))
    lines = [say("Your prediction: {prediction}", prediction=prediction) for prediction in predictions]
    if experiment and experiment.question:
        lines.append(say("to discuss: {guide}, experiment={name}", guide=GUIDES[material.language], name=experiment.name))
    return lines
