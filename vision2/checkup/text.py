"""The findings as a table for the terminal, in Markdown or as plain values for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vision2.basics.safe_text import printable_lines
from vision2.basics.text_table import as_markdown, as_text
from vision2.checkup.finding import FAILED, OUTCOMES, PASSED, WARNING, Finding

COLOURS = {PASSED: "\033[32m", WARNING: "\033[33m", FAILED: "\033[1;31m"}
PLAIN = "\033[0m"
HEADINGS = ("part", "check", "outcome", "seen")


def as_page(findings: Sequence[Finding], *, coloured: bool = False) -> str:
    """The table, then why each warning and failure matters and what to do, then a sentence with the counts."""
    lines = as_text(HEADINGS, [finding[:4] for finding in findings]).splitlines()
    outcomes = [""] + [finding.outcome for finding in findings]
    advice = [
        f"\n{f.outcome}: {f.name}. {f.seen}\n  why it matters: {f.why}\n  what to do: {f.todo}"
        for f in findings
        if f.outcome != PASSED
    ]
    if coloured:
        lines = [_coloured(line, outcome) for line, outcome in zip(lines, outcomes, strict=True)]
    return "\n".join([*lines, *map(printable_lines, advice), "", summary(findings)])


def markdown(findings: Sequence[Finding]) -> str:
    """The table with reasons and advice as columns."""
    return as_markdown([*HEADINGS, "why it matters", "what to do"], findings) + "\n" + summary(findings)


def summary(findings: Sequence[Finding]) -> str:
    """`20 checks: 18 passed, 1 warning, 1 failed`."""
    counts = Counter(finding.outcome for finding in findings)
    return f"{len(findings)} checks: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)


def records(findings: Sequence[Finding]) -> list[dict]:
    return [finding._asdict() for finding in findings]


def failed(findings: Sequence[Finding]) -> bool:
    return any(finding.outcome == FAILED for finding in findings)


def _coloured(line: str, outcome: str) -> str:
    return line.replace(f"  {outcome}", f"  {COLOURS[outcome]}{outcome}{PLAIN}", 1) if outcome in COLOURS else line
