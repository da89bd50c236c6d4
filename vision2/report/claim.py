"""The first thing a report says: the claim, and what the runs allow to say about it."""

from __future__ import annotations

import math
from dataclasses import fields

from vision2.report.document import Banner, Document, Table, Text
from vision2.report.material import Material
from vision2.report.settings import ExperimentConfig
from vision2.report.texts import Say
from vision2.runs.sweep_folder import SweepFolder
from vision2.runs.table import SHARES
from vision2.stats.verdict import CONTRADICTED, INCONCLUSIVE, SUPPORTED, Finding, Verdict, judge, parse_comparisons

SENTENCES = {
    SUPPORTED: "The runs support the claim.",
    CONTRADICTED: "The runs contradict the claim.",
    INCONCLUSIVE: "The runs do not decide the claim.",
}
HOW_TO_READ = (
    "How to read it: runs are paired by seed; the interval is Student's 95 % interval of the mean paired "
    "difference. A claim is supported only when every comparison's whole interval lies on the claimed side, "
    "contradicted when one lies on the other side (at a level corrected for the number of comparisons), and "
    "inconclusive otherwise."
)
UNPAIRED_NAMED = 5


def experiment_of(material: Material) -> ExperimentConfig | None:
    """The experiment of the sweep, else the one that all these runs belong to (as the newest of them states it), or None."""
    newest_first = sorted(material.runs, key=lambda run: run.path.name, reverse=True)
    found = [run.config.get("experiment") or {} for run in newest_first]
    names = {experiment.get("name") for experiment in found}
    stated = SweepFolder(material.folder).description().get("experiment") or found[0]
    if len(names) != 1 or not stated.get("name"):
        return None
    known = {field.name for field in fields(ExperimentConfig)}
    return ExperimentConfig(**{key: value for key, value in stated.items() if key in known})


def add_claim(document: Document, material: Material, experiment: ExperimentConfig | None) -> Verdict | None:
    """Add the section; returns the verdict, or None when no claim with comparisons is stated."""
    say, spanish = material.say, material.language == "es"
    if experiment is None:
        document.add(
            say("The claim"), Text(say("These runs belong to no single experiment, so there is no claim to judge."))
        )
        return None
    verdict = judge(material.runs, parse_comparisons(experiment.comparisons))
    note = (spanish and experiment.note_es) or experiment.note
    document.add(
        say("The claim"),
        Text((spanish and experiment.claim_es) or experiment.claim),
        _banner(verdict, say),
        Table(_headings(say), [_row(finding, material.language, say) for finding in verdict.findings]),
        Text(say(HOW_TO_READ), quiet=True) if verdict.findings else None,
        Text(say("What this cannot show: {note}", note=note)) if note else None,
        Text(_what_was_run(material)),
        Text(say("Source: {source}", source=experiment.source), quiet=True) if experiment.source else None,
    )
    return verdict if verdict.findings else None


def _what_was_run(material: Material) -> str:
    """Networks, weights and data as they were: another network may have stood in for the one the experiment names."""
    found = {
        key: dict.fromkeys(str(value) for run in material.runs if (value := run.get(key)))
        for key in ("model.name", "weights.source", "dataset.name")
    }
    say = material.say
    networks, weights, data = (", ".join(values) or say("none") for values in found.values())
    return say("Networks: {networks}. Weights: {weights}. Data: {data}.", networks=networks, weights=weights, data=data)


def _banner(verdict: Verdict, say: Say) -> Banner | Text:
    if not verdict.findings:
        return Text(say("This experiment states no comparison, so there is nothing to judge by numbers."))
    return Banner(verdict.overall, say(verdict.overall), say(SENTENCES[verdict.overall]))


def _headings(say: Say) -> list[str]:
    return [say("comparison"), "a", "b", say("difference"), say("95 % interval"), say("pairs"), say("verdict"), ""]


def _row(finding: Finding, language: str, say: Say) -> list[str]:
    comparison, difference = finding.comparison, finding.difference
    if difference is None:
        return [_sentence(finding, language, say), "-", "-", "-", "-", "0", say(finding.verdict), _remark(finding, say)]
    metric = comparison.metric
    interval = (
        "-" if math.isnan(difference.low) else f"{_gap(metric, difference.low)} … {_gap(metric, difference.high)}"
    )
    if finding.reason == "exact":
        interval = "-"
    return [
        _sentence(finding, language, say),
        _number(metric, finding.mean_a),
        _number(metric, finding.mean_b),
        _gap(metric, difference.mean),
        interval,
        str(difference.n),
        say(finding.verdict),
        _remark(finding, say),
    ]


def _sentence(finding: Finding, language: str, say: Say) -> str:
    comparison = finding.comparison
    if said := (comparison.says_es if language == "es" else "") or comparison.says:
        return said
    names = {side: ", ".join(map(str, chosen.values())) for side, chosen in (("a", comparison.a), ("b", comparison.b))}
    higher, lower = "{metric} of {a} is higher than of {b}", "{metric} of {a} is lower than of {b}"
    return say(higher if comparison.better == "higher" else lower, metric=comparison.metric, **names)


def _remark(finding: Finding, say: Say) -> str:
    margin = finding.comparison.margin
    parts = [say("margin {margin}", margin=_gap(finding.comparison.metric, margin))] if margin else []
    if finding.reason == "interval" and finding.verdict == INCONCLUSIVE:
        parts.append(say("the interval includes the margin") if margin else say("the interval includes zero"))
    elif finding.reason == "one_pair":
        parts.append(say("one pair only: another seed could turn it"))
    elif finding.reason == "no_pairs":
        parts.append(say("no pair of runs to compare"))
    elif finding.reason == "no_spread":
        parts.append(say("the seed changed nothing, so the pairs are one observation"))
    if finding.test_noise:
        low, high = (_gap(finding.comparison.metric, value) for value in finding.test_noise)
        parts.append(say("test-image noise only: {low} to {high}", low=low, high=high))
    if finding.unpaired:
        named = ", ".join(finding.unpaired[:UNPAIRED_NAMED]) + (" …" if len(finding.unpaired) > UNPAIRED_NAMED else "")
        parts.append(say("without a partner: {runs}", runs=named))
    return "; ".join(parts)


def _number(metric: str, value: float) -> str:
    if _is_share(metric):
        return f"{100 * value:.2f} %"
    return f"{value / 1e6:,.2f} M" if abs(value) >= 1e6 else f"{value:.4g}"


def _gap(metric: str, value: float) -> str:
    """A difference with its sign; of shares in percentage points."""
    if _is_share(metric):
        return f"{100 * value:+.2f}"
    return f"{value / 1e6:+,.2f} M" if abs(value) >= 1e6 else f"{value:+.4g}"


def _is_share(metric: str) -> bool:
    return metric.rsplit(".", 1)[-1].removeprefix("val_").removeprefix("train_") in SHARES
