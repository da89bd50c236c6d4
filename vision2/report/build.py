"""Build the report of a folder of runs: read the runs, add the sections, write the page next to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vision2.basics.atomic_write import write_text
from vision2.basics.errors import UserError
from vision2.basics.written import WrittenFiles
from vision2.report import sections
from vision2.report.claim import add_claim, experiment_of, refusals
from vision2.report.data_notes import add_data_notes
from vision2.report.document import Document
from vision2.report.faults import add_faults
from vision2.report.material import Material
from vision2.report.page import render
from vision2.report.prediction import add_prediction, after_the_runs
from vision2.report.settings import ExperimentConfig
from vision2.report.tables import TABLE_FILES, write_table
from vision2.report.texts import translator
from vision2.runs.groups import group_runs
from vision2.runs.read import Problem, Run, read_runs

NAMED_IN_TITLE = 4
HTML, MARKDOWN = "report.html", "report.md"
MARK = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # in every page that vision2 writes


@dataclass(frozen=True)
class Report:
    """The page that was written, and the text to print: the table, the verdict and the path of the page."""

    page: Path
    text: str
    verdict: str | None  # supported | contradicted | inconclusive; None if there is no claim to judge


def write_report(folder: str | Path, *, language: str = "en") -> Report:
    """Write the report of the runs below `folder` (or of a sweep's jobs) into `<folder>/report/`.

    Raises:
        UserError: when there is no run to report, a comparison cannot be read, or a file of the user's is in the way.
    """
    folder, say = Path(folder).expanduser(), translator(language)
    runs, problems = _runs_below(folder)
    own = _own_files(folder / "report")
    with own.renewed() as files:
        material = Material(folder, files, runs, problems, group_runs(runs), language, say)
        return _write(material, page=own.folder / HTML)


def _write(material: Material, page: Path) -> Report:
    say, files, language = material.say, material.files, material.language
    experiment = experiment_of(material)
    document = Document(_title(material, experiment), _subtitle(material), language)
    add_faults(document, material)
    add_prediction(document, material)
    verdict = add_claim(document, material, experiment)
    add_data_notes(document, material)
    sections.add_results(document, material)
    sections.add_failures(document, material)
    sections.add_curves(document, material)
    sections.add_costs(document, material)
    sections.add_classes(document, material)
    sections.add_pictures(document, material)
    sections.add_training(document, material)
    sections.add_provenance(document, material)
    text = write_table(files, material.groups, say, metric=material.metric)
    for name in (MARKDOWN, HTML):
        write_text(files.path(name), render(name, **vars(document)))
    lines = [text, *(f"{problem.path}: {problem.reason}" for problem in material.problems)]
    lines += [f"{say('verdict')}: {say(verdict.overall)}"] if verdict else []
    lines += refusals(verdict, say)
    lines += after_the_runs(material, experiment)
    lines.append(say("page: {path}", path=page))
    return Report(page, "\n".join(lines), verdict.overall if verdict else None)


def _runs_below(folder: Path) -> tuple[list[Run], list[Problem]]:
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name one with runs, e.g. python -m vision2.report outputs")
    runs, problems = read_runs(folder)
    if not runs:
        found = "".join(f"; {problem.path}: {problem.reason}" for problem in problems[:5])
        remedy = "; name a folder that contains run folders, such as outputs"
        raise UserError(f"no run in {folder} can be reported{found or remedy}")
    return runs, problems


def _own_files(out: Path) -> WrittenFiles:
    """The files of an earlier report, which may have had other figures, and the check that no other file is in the way."""
    names = (HTML, MARKDOWN, *TABLE_FILES)
    if (out / HTML).is_file() and (out / MARKDOWN).is_file() and MARK in (out / HTML).read_text(errors="replace"):
        pictures = re.findall(r"^!\[.*\]\(([\w-]+\.png)\)$", (out / MARKDOWN).read_text(errors="replace"), re.MULTILINE)
        WrittenFiles(out).adopt([*names, *pictures])
    return WrittenFiles(out, *names)


def _title(material: Material, experiment: ExperimentConfig | None) -> str:
    """The name of the experiment, if any, then models, data sets and date."""
    say, named = material.say, experiment and experiment.name and experiment.name.replace("_", " ")
    models, data = (_few(material, key) for key in ("model.name", "dataset.name"))
    what = say("{models} on {data}, {date}", models=models, data=data, date=max(run.started for run in material.runs)[:10])
    return f"{named}: {what}" if named else what


def _few(material: Material, key: str) -> str:
    names = list(dict.fromkeys(str(run.get(key)) for run in material.runs if run.get(key))) or ["?"]
    more = len(names) - NAMED_IN_TITLE
    text = ", ".join(names[:NAMED_IN_TITLE])
    return material.say("{names} and {count} more", names=text, count=more) if more > 0 else text


def _subtitle(material: Material) -> str:
    completed = sum(run.completed for run in material.runs)
    return material.say(
        "{completed} runs completed, {failed} failed, {unread} unreadable; made {date}",
        completed=completed,
        failed=len(material.runs) - completed,
        unread=len(material.problems),
        date=f"{datetime.now():%Y-%m-%d %H:%M}",
    )
