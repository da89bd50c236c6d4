"""Sentences on what a user should know about the files of a data set, the same in training and in the audit."""

from __future__ import annotations

from vision2.basics.errors import first_few
from vision2.basics.safe_text import printable
from vision2.data.files.unused import count_unused, describe_unused

NAMES_SHOWN = 10
FEW_SHOWN = 4


def remarks(report: dict) -> list[tuple[str, str]]:
    """(note | warning, printable sentence) about a data set's notes (see `Collection`) and, if it was split, its `counts`."""
    found = [("warning", sentence) for sentence in _similar_names(report)]
    found += [("note", sentence) for sentence in (*_levels(report), *_not_used(report), *_absent_classes(report))]
    return [(level, printable(sentence)) for level, sentence in found]


def training_remarks(report: dict) -> list[str]:
    """One line for each remark, one for the files that could not be decoded and one for blank images."""
    lines = [f"{'warning: ' if level == 'warning' else ''}{sentence}" for level, sentence in remarks(report)]
    if skipped := report.get("skipped"):
        counted = describe_unused(count_unused((entry["path"], entry["reason"]) for entry in skipped))
        lines.append(f"Left out because they cannot be decoded: {counted}; first: {skipped[0]['path']}.")
    if (plain := report.get("one_colour")) and plain["count"]:
        images = "1 image has" if plain["count"] == 1 else f"{plain['count']:,} images have"
        first = f"first: {plain['ids'][0]}; python -m vision2.audit lists them"
        lines.append(f"{images} a single colour (blank pictures?); {first}.")
    return [printable(line) for line in lines]


def _similar_names(report: dict) -> list[str]:
    pairs = [" and ".join(f"'{name}'" for name in pair) for pair in report.get("similar_classes", ())]
    if not pairs:
        return []
    listed = first_few(pairs, FEW_SHOWN)
    return [f"Classes that differ only in case, spaces, - or _: {listed}; merge their folders if they are one class."]


def _levels(report: dict) -> list[str]:
    said = []
    if below := report.get("leaf_folders"):
        counts = first_few([f"{name} {count}" for name, count in below.items()], FEW_SHOWN)
        level = report["class_level"]
        where = "top level" if level == "top" else f"first {level} levels"
        said.append(
            f"The classes are the folders of the {where}; {sum(below.values()):,} folders below them are merged into them "
            f"({counts}), e.g. {report['leaf_example']}: dataset.class_level={report['finer_level']} makes the "
            "deepest folders the classes."
        )
    if merged := report.get("merged_leaves"):
        counts = first_few([f"{name} in {count} places" for name, count in merged.items()], FEW_SHOWN)
        said.append(f"Folders with the same name are one class: {counts}; dataset.class_level=2 keeps them apart.")
    return said


def _not_used(report: dict) -> list[str]:
    said = []
    if count := report.get("outside_class_folders"):
        named = {"the top folder" if name == "." else name: number for name, number in report["outside_folders"].items()}
        listed = [f"{number} in {name}" for name, number in named.items()]
        folders = ", ".join(listed[:FEW_SHOWN]) + (", ..." if len(listed) > FEW_SHOWN else "")
        images = "1 image is" if count == 1 else f"{count:,} images are"
        said.append(f"{images} outside the class folders and not used: {folders}.")
    if report.get("unlabelled"):
        said.append(f"{report['unlabelled']} images have no label in their name or folder and are not used.")
    if unused := report.get("unused"):
        said.append(f"Files that are not used: {describe_unused(unused)}.")
    if hidden := report.get("hidden_folders"):
        said.append(f"Folders that are not used because their names begin with a dot: {first_few(hidden, FEW_SHOWN)}.")
    if guessed := report.get("guessed_names"):
        said.append(
            f"The zip does not state the encoding of its names; they were read as cp437 ({guessed[0]}). If they look wrong, "
            "set dataset.zip_encoding=cp850 or cp1252."
        )
    return said


def _absent_classes(report: dict) -> list[str]:
    """Taken from the counts, because a split that was drawn can lack a class too."""
    said = []
    for part in ("val", "test"):
        counts = report.get("counts", {}).get(part, {})
        absent = [name for name, count in counts.items() if count == 0]
        if absent and len(absent) < len(counts):
            listed = first_few(absent, NAMES_SHOWN)
            said.append(f"{part} has no images of {listed}, so the accuracy on these classes is not measured there.")
    return said
