"""Audit a data set by decoding every file; nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from vision2.basics.errors import UserError
from vision2.basics.preprocessing import CROP_SHARE
from vision2.basics.threads import map_ahead, usable_cpus
from vision2.data.audit.duplicates import exact_groups, near_groups
from vision2.data.audit.inspection import BAD_KINDS, KINDS, FileFacts, inspect_file
from vision2.data.collection import PARTS, Collection, count_by_class, keep_classes
from vision2.data.datasets import find_collection
from vision2.data.splits import find_groups, groups_on_two_sides, split_parts

if TYPE_CHECKING:
    from vision2.data.settings import DatasetConfig

SIZE_EDGES_PX = (0, 32, 64, 128, 224, 256, 384, 512, 768, 1024, 2048, 4096)


@dataclass(frozen=True)
class Audit:
    """`findings` is plain JSON; `collection` lets a page show the images themselves."""

    findings: dict
    collection: Collection


def audit(config: DatasetConfig, *, seed: int) -> Audit:
    """Inspect each file, then all of them together: counts, duplicates, leaks between the splits drawn with `seed`."""
    from tqdm import tqdm

    collection = keep_classes(find_collection(config, files_only=True), config.classes)
    threads = 2 * usable_cpus()  # on each core, one reads while another decodes
    results = map_ahead(inspect_file, collection.files, threads=threads, ahead=2 * threads, name="audit")
    facts = list(tqdm(results, total=len(collection), desc="reading files", unit="file", disable=None))
    split_problem, groups = _draw_split(collection, [not fact.bad for fact in facts], config, seed)
    findings = {
        "dataset": config.name,
        "root": config.root,
        "files": len(collection),
        "bytes": sum(fact.bytes for fact in facts),
        "classes": list(collection.classes),
        "counts": _counts(collection),
        "seed_of_split": seed,
        "split_problem": split_problem,
        "notes": collection.notes,
        "kinds": _kinds(collection, facts),
        "share_left_out": sum(fact.bad for fact in facts) / len(facts),
        "max_bad_share": config.max_bad_share,
        "exact_duplicates": _describe(exact_groups([fact.sha256 for fact in facts]), collection),
        "near_duplicates": _describe(_near(facts), collection),
        "groups": groups,
        "sizes": _sizes(facts),
        "share_cropped": _share_cropped(facts, config.resize),
        "formats": dict(Counter(f"{fact.format} {fact.mode}" for fact in facts if not fact.bad).most_common()),
    }
    return Audit(findings, collection)


def _draw_split(collection: Collection, good: list[bool], config: DatasetConfig, seed: int) -> tuple[str | None, dict]:
    """Set `collection.parts` as training with `seed` would, and to "out" for bad files.

    Return why no split could be drawn, or None, and the facts about groups.
    """
    rows = np.flatnonzero(good)
    kept = collection.keep(rows)
    groups, facts = find_groups(kept.ids, config.group_pattern)
    parts, problem = kept.parts, None
    try:
        fractions = {"val_fraction": config.val_fraction, "test_fraction": config.test_fraction}
        parts = split_parts(kept, seed=seed, groups=groups, **fractions)
    except UserError as error:
        problem = str(error)
    collection.parts[:] = "out"
    collection.parts[rows] = parts
    return problem, facts | {"on_two_sides": groups_on_two_sides(groups, parts)} if facts else {}


def _counts(collection: Collection) -> dict[str, dict[str, int]]:
    """{part: {class: images}}; bad files are counted under "left out"."""
    names = {**{part: part for part in PARTS}, "out": "left out", "": "all"}
    return {
        name: count_by_class(collection.labels[collection.parts == part], collection.classes)
        for part, name in names.items()
        if (collection.parts == part).any()
    }


def _kinds(collection: Collection, facts: Sequence[FileFacts]) -> dict[str, list[dict]]:
    """{kind: [{path, class, split, detail}]} for every kind, including those that were not found."""
    found = {kind: [] for kind in KINDS}
    for index, fact in enumerate(facts):
        for kind in fact.kinds:
            detail = fact.reason if kind in BAD_KINDS else f"{fact.width} x {fact.height} px, {fact.format} {fact.mode}"
            found[kind].append({**_place(collection, index), "detail": detail})
    return found


def _place(collection: Collection, index: int) -> dict:
    part = str(collection.parts[index])
    return {
        "path": collection.ids[index],
        "class": collection.classes[collection.labels[index]],
        "split": "left out" if part == "out" else part,
    }


def _near(facts: Sequence[FileFacts]) -> list[list[int]]:
    """Near duplicates among different files; only the first of several exact duplicates is compared."""
    first = {}
    for index, fact in enumerate(facts):
        if not fact.bad:
            first.setdefault(fact.sha256, index)
    chosen = list(first.values())
    if not chosen:
        return []
    hashes = np.array([facts[index].hash for index in chosen], dtype=np.uint64)
    small = np.stack([facts[index].small for index in chosen])
    return [[chosen[position] for position in group] for group in near_groups(hashes, small)]


def _describe(groups: list[list[int]], collection: Collection) -> list[dict]:
    """The groups, worst first: across classes (a label is wrong), then across splits (test results are overestimated)."""
    described = []
    for group in groups:
        files = [_place(collection, index) for index in group]
        described.append(
            {
                "across_classes": len({entry["class"] for entry in files}) > 1,
                "across_splits": len({entry["split"] for entry in files} - {"left out"}) > 1,
                "files": files,
            }
        )
    return sorted(described, key=lambda each: (-each["across_classes"], -each["across_splits"], each["files"][0]["path"]))


def _share_cropped(facts: Sequence[FileFacts], resize: str | None) -> float:
    """Mean share of a picture's pixels that evaluation does not show; images of one square size are shown whole."""
    sizes = np.array([(fact.width, fact.height) for fact in facts if not fact.bad], dtype=np.float64)
    if not len(sizes) or resize in ("squash", "pad") or (sizes == sizes[0, 0]).all():
        return 0.0
    return float(1 - (CROP_SHARE**2 * sizes.min(1) / sizes.max(1)).mean())


def _sizes(facts: Sequence[FileFacts]) -> dict:
    """Smallest, median and largest shorter side in px, and a histogram."""
    shorter = np.array([min(fact.width, fact.height) for fact in facts if not fact.bad])
    if not len(shorter):
        return {"smallest_px": None, "median_px": None, "largest_px": None, "histogram": []}
    counts, _ = np.histogram(shorter, [*SIZE_EDGES_PX, np.inf])
    names = [f"{low}-{high - 1}" for low, high in pairwise(SIZE_EDGES_PX)]
    return {
        "smallest_px": int(shorter.min()),
        "median_px": float(np.median(shorter)),
        "largest_px": int(shorter.max()),
        "histogram": [
            {"px": name, "images": int(count)}
            for name, count in zip([*names, f"{SIZE_EDGES_PX[-1]} and more"], counts, strict=True)
        ],
    }
