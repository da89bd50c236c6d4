"""The first section of a report: the claim, and what the runs say about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields

from vision2.report.comparisons import EPISODE_ACCURACY, EXACT, Finding, Verdict, judge_runs, parse_comparisons
from vision2.report.document import Banner, Document, Table, Text
from vision2.report.material import Material
from vision2.report.scores import is_share, what_ran
from vision2.report.seeds import WHAT_VARIES
from vision2.report.settings import ExperimentConfig
from vision2.report.texts import Say
from vision2.runs.read import Run
from vision2.runs.sweep_folder import SweepFolder
from vision2.stats.intervals import Estimate
from vision2.stats.verdict import CONTRADICTED, INCONCLUSIVE, SUPPORTED

SENTENCES = {
    SUPPORTED: "The runs support the claim.",
    CONTRADICTED: "The runs contradict the claim.",
    INCONCLUSIVE: "The runs neither support nor contradict the claim.",
}
REASONS = {
    "one_pair": "only one pair: another seed could reverse the result",
    "no_pairs": "no pairs of runs to compare",
    "no_spread": "the seed changed nothing, so the pairs count as one observation",
    "ambiguous": "refused: one side matches several configurations",
}
HOW_TO_READ = (
    "How to read this: runs are paired by seed, and the interval is Student's 95 % confidence interval for the mean paired "
    "difference. A claim is supported only if the interval of every comparison lies entirely on the claimed side, "
    "contradicted if any interval lies entirely on the other side (at a level corrected for the number of comparisons), "
    "and inconclusive otherwise. If each seed draws its own split, the test images of the seeds overlap, so the interval "
    "is that of the corrected resampled t-test (Nadeau and Bengio 2003)."
)
SECOND_LOOK = (
    "A second look: the experiment fixes its seeds in advance ({planned}); others were added later ({added}). Adding seeds "
    "because a verdict was inconclusive makes chance differences look real, so confirm the result with new seeds only."
)
NOISE_OF_IMAGES = "sampling noise of the test images alone: {low} to {high}"
NOISE_OF_EPISODES = "sampling noise of the test episodes alone, in pairs: {low} to {high}"
UNPAIRED_NAMED = 5
KEYS_NAMED = 5


def experiment_of(material: Material) -> ExperimentConfig | None:
    """The experiment of the sweep, or else the one that all runs share (as the newest run states it), or None."""
    newest_first = sorted(material.runs, key=lambda run: run.path.name, reverse=True)
    found = [run.config.get("experiment") or {} for run in newest_first]
    stated = SweepFolder(material.folder).description().get("experiment") or found[0]
    if len({experiment.get("name") for experiment in found}) != 1 or not stated.get("name"):
        return None
    known = {field.name for field in fields(ExperimentConfig)}
    return ExperimentConfig(**{key: value for key, value in stated.items() if key in known})


def add_claim(document: Document, material: Material, experiment: ExperimentConfig | None) -> Verdict | None:
    """Add the section if there is a claim; return the verdict, or None if there is nothing to judge."""
    say, spanish = material.say, material.language == "es"
    if experiment is None or not experiment.claim:
        return None
    verdict = judge_runs(material.runs, parse_comparisons(experiment.comparisons))
    note = (spanish and experiment.note_es) or experiment.note
    headings = [say("comparison"), "a", "b", say("difference (points)"), say("95 % interval")]
    headings += [say("pairs"), say("verdict"), say("remark")]
    document.add(
        say("The claim"),
        Text((spanish and experiment.claim_es) or experiment.claim),
        _banner(verdict, say),
        Table(headings, [_row(finding, say, spanish=spanish) for finding in verdict.findings]),
        _second_look(material, experiment) if verdict.findings else None,
        Text(say(HOW_TO_READ), quiet=True) if verdict.findings else None,
        Text(say("What this cannot show: {note}", note=note)) if note else None,
        Text(_what_was_run(material)),
        Text(say("Recipe and seeds were fixed on {date}.", date=experiment.fixed)) if experiment.fixed else None,
        Text(say("Source: {source}", source=experiment.source), quiet=True) if experiment.source else None,
    )
    return verdict if verdict.findings else None


def _second_look(material: Material, experiment: ExperimentConfig) -> Text | None:
    """A warning if there are runs with seeds other than those the experiment fixed in advance, else None."""
    planned = re.findall(r"\d+", experiment.seeds)
    run = {str(run.seed) for run in material.runs if run.completed}
    added = sorted(run - set(planned), key=int) if planned else []
    return Text(material.say(SECOND_LOOK, planned=", ".join(planned), added=", ".join(added))) if added else None


def refusals(verdict: Verdict | None, say: Say) -> list[str]:
    """One sentence for each comparison that was refused as ambiguous."""
    found = verdict.findings if verdict else ()
    return [f"{_sentence(finding, say, spanish=False)}: {_refusal(finding, say)}" for finding in found if finding.ambiguous]


def _what_was_run(material: Material) -> str:
    """The networks, weights and data actually used: overrides may have replaced those the experiment names."""
    found = {}
    for name, key in (("networks", "model.name"), ("weights", "weights.source"), ("data", "dataset.name")):
        values = dict.fromkeys(str(value) for run in material.runs if (value := run.get(key)))
        found[name] = ", ".join(values) or material.say("none")
    return material.say("Networks: {networks}. Weights: {weights}. Data: {data}.", **found)


def _banner(verdict: Verdict, say: Say) -> Banner | Text:
    if not verdict.findings:
        return Text(say("This experiment defines no comparisons, so there is nothing to judge numerically."))
    return Banner(verdict.overall, say(verdict.overall), say(SENTENCES[verdict.overall]))


def _row(finding: Finding, say: Say, *, spanish: bool) -> list[str]:
    judgement, metric = finding.judgement, finding.comparison.metric
    difference = judgement.difference
    a, b, gap, interval, pairs = "-", "-", "-", "-", "0"
    if difference is not None:
        a, b = (
            f"{_number(metric, mean)} ({_ran(runs, say)})"
            for mean, runs in zip((finding.mean_a, finding.mean_b), finding.runs, strict=True)
        )
        gap, pairs = _gap(metric, difference.mean), str(difference.n)
        if judgement.reason == "interval":
            interval = _interval(metric, difference)
    word = say("refused") if finding.ambiguous else say(judgement.verdict)
    return [_sentence(finding, say, spanish=spanish), a, b, gap, interval, pairs, word, _remark(finding, say)]


def _interval(metric: str, difference: Estimate) -> str:
    """The interval as text, clipped to [-1, 1] for shares: Student's interval can exceed what is possible."""
    low, high = difference.low, difference.high
    if is_share(metric):
        low, high = max(low, -1.0), min(high, 1.0)
    return f"{_gap(metric, low)} … {_gap(metric, high)}"


def _ran(runs: Sequence[Run], say: Say) -> str:
    return "; ".join(dict.fromkeys(what_ran(run, say) for run in runs))


def _sentence(finding: Finding, say: Say, *, spanish: bool) -> str:
    comparison = finding.comparison
    if stated := (spanish and comparison.says_es) or comparison.says:
        return stated
    a, b = (", ".join(map(str, chosen.values())) for chosen in (comparison.a, comparison.b))
    higher, lower = "{metric} is higher for {a} than for {b}", "{metric} is lower for {a} than for {b}"
    return say(higher if comparison.better == "higher" else lower, metric=comparison.metric, a=a, b=b)


def _remark(finding: Finding, say: Say) -> str:
    metric, margin, judgement = finding.comparison.metric, finding.comparison.margin, finding.judgement
    if finding.ambiguous:
        return _refusal(finding, say)
    parts = [say("margin {margin}", margin=_gap(metric, margin))] if margin else []
    if judgement.reason in REASONS:
        parts.append(say(REASONS[judgement.reason]))
    elif judgement.reason == "interval":
        if judgement.verdict == INCONCLUSIVE:
            parts.append(say("the interval includes the margin") if margin else say("the interval includes zero"))
        parts.append(say(WHAT_VARIES[finding.effect.what], count=judgement.difference.n))
    for key in finding.comparison.tuned if finding.runs[0] else ():
        a, b = (", ".join(dict.fromkeys(str(run.get(key)) for run in runs)) for runs in finding.runs)
        parts.append(say("{key} chosen on validation: {a} and {b}", key=key, a=a, b=b))
    if finding.test_noise:
        low, high = (_gap(metric, value) for value in finding.test_noise)
        words = NOISE_OF_EPISODES if EPISODE_ACCURACY.fullmatch(metric) else NOISE_OF_IMAGES
        parts.append(say(words, low=low, high=high))
    if finding.unpaired:
        named = ", ".join(finding.unpaired[:UNPAIRED_NAMED]) + (" …" if len(finding.unpaired) > UNPAIRED_NAMED else "")
        parts.append(say("unpaired runs: {runs}", runs=named))
    return "; ".join(parts)


def _refusal(finding: Finding, say: Say) -> str:
    """Why the comparison was refused, which keys differ, and how to fix it."""
    keys = ", ".join(finding.ambiguous[:KEYS_NAMED]) + (" …" if len(finding.ambiguous) > KEYS_NAMED else "")
    how = "{reason}, which differ in {keys}; add one of these keys to a, b or pair_on, or report a single sweep's folder"
    return say(how, reason=say(REASONS["ambiguous"]), keys=keys)


def _number(metric: str, value: float, sign: str = "") -> str:
    if is_share(metric):
        return f"{100 * value:{sign}.2f} %"
    if abs(value) >= 1e6:
        return f"{value / 1e6:{sign},.2f} M"
    return f"{value:{sign},.0f}" if metric in EXACT else f"{value:{sign}.4g}"


def _gap(metric: str, value: float) -> str:
    """A difference with its sign; of shares in percentage points, without the unit."""
    return _number(metric, value, "+").removesuffix(" %")
