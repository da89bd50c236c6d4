"""An audit's findings as sentences: the text for the terminal, and the verdicts on the page."""

from __future__ import annotations

from vision2.basics.safe_text import printable
from vision2.data.audit.inspection import BAD_KINDS, KINDS, ODD_KINDS
from vision2.data.remarks import remarks

MUCH_CROPPED = 0.5  # a 3 : 2 picture loses 49 %
SHOWN = 5  # paths per kind in the text; the JSON lists all


def headline(findings: dict) -> str:
    size = f"{findings['bytes'] / 2**20:,.0f} MiB" if findings["bytes"] >= 2**20 else f"{findings['bytes']:,} bytes"
    return f"{findings['dataset']}: {findings['files']:,} files, {size}, {len(findings['classes'])} classes"


def verdicts(findings: dict) -> list[tuple[str, str]]:
    """(ok | note | warning, sentence), warnings first."""
    said = []
    bad = {kind: len(findings["kinds"][kind]) for kind in BAD_KINDS if findings["kinds"][kind]}
    share, most = findings["share_left_out"], findings["max_bad_share"]
    if bad:
        listed = ", ".join(f"{count} {kind}" for kind, count in bad.items())
        stop = f"; training would stop, because dataset.max_bad_share={most:g} allows fewer" if share > most else ""
        said.append(("warning", f"Training leaves out {sum(bad.values())} files ({share:.2%}): {listed}{stop}."))
    if findings["split_problem"]:
        said.append(("warning", f"No split could be drawn: {findings['split_problem']}."))
    for name, groups in _duplicates(findings).items():
        labels = sum(group["across_classes"] for group in groups)
        leaks = sum(group["across_splits"] for group in groups)
        if labels:
            said.append(("warning", f"{_many(labels, 'group')} of {name} duplicates with different classes."))
        if leaks:
            said.append(("warning", f"{_many(leaks, 'group')} of {name} duplicates in more than one split."))
        if len(groups) > leaks:
            said.append(("note", f"{_many(len(groups) - leaks, 'group')} of {name} duplicates within one split."))
    if findings["groups"].get("on_two_sides"):
        said.append(("warning", f"{_many(len(findings['groups']['on_two_sides']), 'group')} in more than one split."))
    said += [
        ("note", f"{title}: {len(findings['kinds'][kind]):,}.") for kind, title in ODD_KINDS.items() if findings["kinds"][kind]
    ]
    said += remarks({**findings["notes"], "counts": findings["counts"]})
    said += [("note", sentence) for sentence in _notes(findings)]
    said.sort(key=lambda pair: pair[0] != "warning")
    return said or [("ok", "Nothing found that could invalidate a result.")]


def _duplicates(findings: dict) -> dict[str, list[dict]]:
    return {"exact": findings["exact_duplicates"], "near": findings["near_duplicates"]}


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("s" if count != 1 else "")


def _notes(findings: dict) -> list[str]:
    said = []
    if findings["share_cropped"] > MUCH_CROPPED:
        said.append(crop_sentence(findings))
    totals = [sum(part[name] for part in findings["counts"].values()) for name in findings["classes"]]
    if min(totals) * 3 < max(totals):
        remedy = "consider train.class_weights=balanced or train.sampler=balanced"
        said.append(f"Classes are imbalanced ({min(totals)} to {max(totals)} images per class): {remedy}.")
    return said


def crop_sentence(findings: dict) -> str:
    """A sentence with the share of pixels that the centre crop discards, and the option that keeps them."""
    share = findings["share_cropped"]
    remedy = "; dataset.resize=squash or pad shows the whole picture" if share else ""
    return f"The centre crop used in evaluation discards {share:.0%} of the pixels{remedy}."


def text(findings: dict) -> str:
    """The whole audit for a terminal, without colours or control characters."""
    lines = [headline(findings), ""]
    lines += [f"  {'ok' if level == 'ok' else '!' if level == 'warning' else '-'} {said}" for level, said in verdicts(findings)]
    lines += ["", *_count_table(findings), ""]
    for kind, title in KINDS.items():
        found = findings["kinds"][kind]
        if found:
            lines.append(f"{title}: {len(found)}")
            lines += [f"    {entry['path']}  ({entry['detail']})" for entry in found[:SHOWN]] + _more(found)
    for name, groups in _duplicates(findings).items():
        if groups:
            lines.append(f"{name.capitalize()} duplicates: {_many(len(groups), 'group')}")
            lines += [f"    {_group_line(group)}" for group in groups[:SHOWN]] + _more(groups)
    return "\n".join(map(printable, [*lines, "", *_size_lines(findings), ""]))


def _more(found: list) -> list[str]:
    return [f"    ... and {len(found) - SHOWN} more"] if len(found) > SHOWN else []


def _group_line(group: dict) -> str:
    return " = ".join(f"{entry['path']} [{entry['class']}, {entry['split']}]" for entry in group["files"][:4])


def _count_table(findings: dict) -> list[str]:
    counts, classes = findings["counts"], findings["classes"]
    names = [printable(name) for name in classes]
    width = max([5, *map(len, names)])
    lines = [f"  {'class':{width}}" + "".join(f"{part:>10}" for part in counts)]
    for name, shown in zip(classes, names, strict=True):
        lines.append(f"  {shown:{width}}" + "".join(f"{part[name]:>10,}" for part in counts.values()))
    return [*lines, f"  {'all':{width}}" + "".join(f"{sum(part.values()):>10,}" for part in counts.values())]


def _size_lines(findings: dict) -> list[str]:
    sizes = findings["sizes"]
    if sizes["smallest_px"] is None:
        return []
    most = max(step["images"] for step in sizes["histogram"])
    head = "Shorter side: smallest {smallest_px} px, median {median_px:g} px, largest {largest_px} px".format(**sizes)
    return [head, crop_sentence(findings)] + [
        f"  {step['px']:>13} px {step['images']:>8,} {'#' * round(40 * step['images'] / most)}"
        for step in sizes["histogram"]
        if step["images"]
    ]
