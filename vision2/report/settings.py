"""Settings of reports and of experiments with their claims."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vision2.basics.settings import choice


@dataclass
class ReportConfig:
    language: str = choice("en", "en", "es")  # of pages, tables and verdicts


@dataclass
class ExperimentConfig:
    name: str | None = None  # title of the page
    claim: str = ""  # the lecture's claim, in one sentence
    claim_es: str = ""  # the claim in Spanish
    source: str = ""  # where the claim comes from
    seeds: str = ""  # fixed in advance, e.g. 0,1,2; the report flags any others as a second look
    fixed: str = ""  # the date on which recipe and seeds were fixed, before these runs
    question: str = ""  # what to predict; printed before the runs
    question_es: str = ""  # the question in Spanish
    note: str = ""  # what this budget cannot show
    note_es: str = ""  # the note in Spanish
    before: list[str] = field(default_factory=list)  # overrides of the preliminary run that strategy.source=before refers to
    before_root: str | None = None  # dataset.root of that run
    comparisons: list[Any] = field(default_factory=list)  # see vision2/report/comparisons.py
