"""The report of a folder of runs: gather the runs, add the sections, write the page beside them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vision2.basics.atomic_write import write_text
from vision2.basics.errors import UserError
from vision2.report.settings import ExperimentConfig


@dataclass(frozen=True)
class Report:
    """What was written, and what to print: the table, the verdict and where the page is."""

    page: Path
    text: str
    verdict: str | None  # supported | contradicted | inconclusive; None without a claim to judge


def write_report(folder: str | Path, *, language: str = "en") -> Report:
    """Write the report of the runs below `folder` (or of a sweep's jobs) into `<folder>/report/`.

    Raises:
        UserError: when there is no run to report, or a comparison cannot be read.
    """
    from vision2.report import sections
    from vision2.report.claim import add_claim, experiment_of
    from vision2.report.document import Document
    from vision2.report.page import to_html, to_markdown
    from vision2.runs.table import write_table
    from vision2.stats.intervals import mean_interval

    material = _gather(Path(folder).expanduser(), language)
    say, out = material.say, material.out
    experiment = experiment_of(material)
    document = Document(_title(material, experiment), _subtitle(material), language)
    verdict = add_claim(document, material, experiment)
    sections.add_results(document, material)
    sections.add_curves(document, material)
    sections.add_costs(document, material)
    sections.add_classes(document, material)
    sections.add_pictures(document, material)
    sections.add_training(document, material)
    sections.add_provenance(document, material)
    text = write_table(out, material.groups, mean_interval, say)
    write_text(out / "report.md", to_markdown(document))
    write_text(out / "report.html", to_html(document))
    lines = [text, *(f"{problem.path}: {problem.reason}" for problem in material.problems)]
    lines += [f"{say('verdict')}: {say(verdict.overall)}"] if verdict else []
    lines.append(say("page: {path}", path=out / "report.html"))
    return Report(out / "report.html", "\n".join(lines), verdict.overall if verdict else None)


def _gather(folder: Path, language: str):
    from vision2.report.material import Material
    from vision2.report.texts import speaker
    from vision2.runs.read import read_runs
    from vision2.runs.table import group_runs

    say = speaker(language)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name one with runs, e.g. python -m vision2.report outputs")
    runs, problems = read_runs(folder)
    if not runs:
        found = "".join(f"; {problem.path}: {problem.reason}" for problem in problems[:5])
        raise UserError(f"no run in {folder} can be reported{found}")
    out = folder / "report"
    out.mkdir(exist_ok=True)
    for old in out.glob("*.png"):  # of an earlier report, which may have had other figures
        old.unlink()
    return Material(folder, out, runs, problems, group_runs(runs), language, say)


def _title(material, experiment: ExperimentConfig | None) -> str:
    if experiment and experiment.name:
        return experiment.name.replace("_", " ")
    return material.say("Runs of {folder}", folder=material.folder.resolve().name)


def _subtitle(material) -> str:
    completed = sum(run.completed for run in material.runs)
    return material.say(
        "{completed} runs completed, {failed} failed, {unread} unreadable; made {date}",
        completed=completed,
        failed=len(material.runs) - completed,
        unread=len(material.problems),
        date=f"{datetime.now():%Y-%m-%d %H:%M}",
    )
