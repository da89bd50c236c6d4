"""Copy measured results into the guides: for each experiment, those in the report of its newest finished sweep.

    python scripts/document_results.py outputs/sweeps

Replaces the text between `<!-- result: NAME -->` and `<!-- end -->` in docs/lecture.md and docs/clase.es.md, and the
table between `<!-- experiments -->` and `<!-- end -->` in README.md.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from vision2.basics.errors import UserError
from vision2.config.command import fail
from vision2.config.location import options
from vision2.report.build import write_report
from vision2.report.texts import translator
from vision2.runs.read import read_runs
from vision2.runs.sweep_folder import JOBS, SweepFolder

USAGE = "python scripts/document_results.py outputs/sweeps"
ROOT = Path(__file__).resolve().parent.parent
# English last: its report stays in the sweep folder, and the README quotes it
GUIDES = {"es": ROOT / "docs" / "clase.es.md", "en": ROOT / "docs" / "lecture.md"}
MEASURED = {"en": "Measured", "es": "Medido"}
RUNS = {"en": "runs", "es": "corridas"}
TRAIN_ACCURACY = "train accuracy"  # a column of the table of more columns, as the report calls it in English
MACHINE = ("output_dir", "device", "skip_finished", "dataset.cache_dir")  # settings that are left out of a command
NAMED = 4  # networks in a row of the README
FOLDER = re.compile(r"=/.*/([^/]+)/?$")  # an absolute path, which is shortened to its last name


def main(sweeps: Path) -> None:
    newest = {}
    for folder in sorted(path for path in sweeps.iterdir() if (path / JOBS).exists()):
        runs, _ = read_runs(folder)
        finished = [run for run in runs if run.completed]
        if len(finished) == len(jobs_of(folder)) > 0 and finished[0].get("experiment.name") in options("experiment"):
            newest[finished[0].get("experiment.name")] = (folder, finished)
    readme = ROOT / "README.md"
    rows = {row.split("`")[1]: row for row in readme.read_text().splitlines() if row.startswith("| [`")}
    for name, (folder, runs) in newest.items():
        for language, guide in GUIDES.items():
            replace(guide, f"result: {name}", result(folder, runs, language))
        rows[name] = summary_row(name, folder, runs)
    table = ["| `experiment=` | claim | measured by us (lite) |", "|---|---|---|", *sorted(rows.values())]
    replace(readme, "experiments", "\n".join(table))


def jobs_of(folder: Path) -> list[dict]:
    """The jobs of a sweep, or none if it has no report, and so no verdict to quote, or if its command was not recorded."""
    sweep = SweepFolder(folder)
    return sweep.jobs() if (folder / "report" / "report.md").exists() and sweep.description().get("command") else []


def result(folder: Path, runs: list, language: str) -> str:
    """The verdict, comparisons, results and command of a sweep, as Markdown."""
    word = translator(language)(write_report(folder, language=language).verdict)
    text = (folder / "report" / "report.md").read_text()
    verdict = re.search(rf"^\*\*{word}\*\*.*$", text, re.MULTILINE)  # after the banner of a fault, if there is one
    comparisons, results, more = tables(text)[:3]
    if runs[0].get("metrics.test.episodes"):
        results = more  # the accuracy of each kind of episode
    trained = translator(language)(TRAIN_ACCURACY)
    if trained in more[0]:
        results = [[*row, others[more[0].index(trained)]] for row, others in zip(results, more, strict=True)]
    measured = f"{MEASURED[language]}: `{command_of(folder)}`; {len(runs)} {RUNS[language]}, {time_of(runs)}, {size_of(runs)}."
    return "\n\n".join([verdict.group(0), markdown(comparisons), markdown(results), measured])


def command_of(folder: Path) -> str:
    """The command recorded for the sweep, without settings and paths of the machine."""
    start, words = ["python", "-m", "vision2.train"], shlex.split(SweepFolder(folder).description()["command"])
    kept = [word for word in words[len(start) :] if word.partition("=")[0] not in MACHINE]
    return shlex.join([*start, *(FOLDER.sub(r"=.../\1", word) for word in kept)])


def time_of(runs: list) -> str:
    seconds = sum(run.get("seconds") or 0 for run in runs)
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def size_of(runs: list) -> str:
    if episodes := runs[0].get("metrics.test.episodes"):
        return f"n = {episodes:,} test episodes"
    tests = sorted({run.get("metrics.test.n") for run in runs})
    return "n = " + " / ".join(f"{n:,}" for n in tests) + " test"


def summary_row(name: str, folder: Path, runs: list) -> str:
    stated = SweepFolder(folder).description().get("experiment") or runs[-1].get("experiment")
    verdict = write_report(folder).verdict
    seeds = len({run.seed for run in runs})
    measured = f"{verdict}: {networks_of(runs)}; {len(runs)} runs, {seeds} seed{'s' if seeds > 1 else ''}, {size_of(runs)}"
    return f"| [`{name}`](conf/experiment/{name}.yaml) | {stated['claim']} | {measured} |"


def networks_of(runs: list) -> str:
    """The networks, weights and data that ran: overrides may have replaced those the experiment names."""
    networks, data = (list(dict.fromkeys(run.get(key) for run in runs)) for key in ("model.name", "dataset.name"))
    shown = networks if len(networks) <= NAMED else [*networks[:NAMED], "..."]
    files = dict.fromkeys(Path(source).name for run in runs if (source := run.get("weights.source")))
    weights = f" ({', '.join(list(files)[:NAMED])})" if files else ""
    return f"{', '.join(shown)}{weights} on {' and '.join(data)}"


def tables(text: str) -> list[list[list[str]]]:
    """Every Markdown table in a text, as rows of cells, headings first."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block.strip().splitlines()]
        found.append([rows[0], *rows[2:]])
    return found


def markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def replace(file: Path, mark: str, text: str) -> None:
    pattern = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- end -->)", re.DOTALL)
    old = file.read_text()
    if not pattern.search(old):
        print(f"skipped '{mark}': add the lines <!-- {mark} --> and <!-- end --> to {file.name}")
    file.write_text(pattern.sub(lambda match: f"{match[1]}{text}\n{match[2]}", old))


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit(fail(UserError(f"'{' '.join(sys.argv[1:])}' is not a folder of sweeps; type {USAGE}")))
    main(Path(sys.argv[1]))
