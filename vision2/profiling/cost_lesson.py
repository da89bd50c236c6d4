"""The lecture's arithmetic next to the count on real modules, as tables and as a JSON record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vision2.basics.text_table import as_markdown, as_text
from vision2.models.families.inception import Branches, InceptionBlock
from vision2.profiling.arithmetic import SLIDES, Design, Lesson, Setting

LECTURE_INPUT = (Setting().size, Setting().channels)
HEADINGS = ("layer", "height·width · kernel·inputs · filters", "computed", "counted", "slides")


@dataclass(frozen=True)
class CostRow:
    """Multiplications of one layer, or of a whole design (then `formula` is empty)."""

    layer: str
    formula: str
    computed: int
    counted: int

    def cells(self, given: Setting) -> list[str]:
        # With another input an equal product is a coincidence, e.g. 14·14 · 5·5·512 · 48.
        slide = SLIDES.get(self.computed, "-") if (given.size, given.channels) == LECTURE_INPUT else "-"
        return [self.layer, self.formula, f"{self.computed:,}", f"{self.counted:,}", slide]


def design_rows(design: Design, given: Setting) -> list[CostRow]:
    """A row for each convolution, and their sum if there are several."""
    counted, whole = count_layers(module_of(design, given), given)
    rows = [
        CostRow(name, conv.formula(given.size), conv.multiplications(given.size), count)
        for (name, conv), count in zip(design.layers.items(), counted, strict=True)
    ]
    if design.side_by_side:
        rows.append(CostRow("3x3 max-pooling", "no multiplications", 0, whole - sum(counted)))
    if len(rows) > 1:
        rows.append(CostRow("sum", "", design.multiplications(given.size), whole))
    return rows


def module_of(design: Design, given: Setting) -> nn.Module:
    """The design on the meta device: the catalogue's Inception block, or a sequence of convolutions."""
    with torch.device("meta"):
        if not design.side_by_side:
            return nn.Sequential(
                *(
                    nn.Conv2d(c.in_channels, c.out_channels, c.kernel, padding="same", groups=c.groups, bias=False)
                    for c in design.layers.values()
                )
            )
        narrowed = any("before" in name for name in design.layers)
        more = (given.reduce, given.reduce, given.pool_filters) if narrowed else ()
        return InceptionBlock(given.channels, Branches(given.filters_1x1, given.filters_3x3, given.filters_5x5, *more))


def count_layers(module: nn.Module, given: Setting) -> tuple[list[int], int]:
    """Multiply-adds (FlopCounterMode / 2) of each convolution of a module, in order, and of the whole module."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.empty(1, given.channels, given.size, given.size, device="meta"))
    counts = {name: sum(operations.values()) // 2 for name, operations in counter.get_flop_counts().items()}
    top = type(module).__name__
    layers = [name for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d)]
    return [counts[f"{top}.{name}"] for name in layers], counts["Global"]


def page(lessons: Sequence[Lesson], given: Setting, *, markdown: bool) -> str:
    """The lessons as text for a terminal or as Markdown."""
    parts = [
        f"Multiplications of convolutions on a {given.size}x{given.size}x{given.channels} input"
        " (counted: FlopCounterMode / 2 on the module)"
    ]
    for number, lesson in enumerate(lessons, start=1):
        rows = []
        for design in (lesson.costly, lesson.cheaper):
            name = f"**{design.name}**" if markdown else f"[{design.name}]"
            rows += [[name, "", "", "", ""], *(row.cells(given) for row in design_rows(design, given))]
        table = (as_markdown if markdown else as_text)(HEADINGS, rows).rstrip()
        parts.append(f"{'## ' if markdown else ''}{number}. {lesson.title}\n\n{table}\n\n{saving(lesson, given)}")
    return "\n\n".join(parts)


def saving(lesson: Lesson, given: Setting) -> str:
    """The cheaper design's cost as a share of the costly one's, and the rule behind it."""
    ratio = lesson.ratio(given.size)
    factor = f"{1 / ratio:.2f} times cheaper" if ratio <= 1 else f"{ratio:.2f} times MORE expensive at these widths"
    return f"{lesson.cheaper.name}: {ratio:.4f} of the cost of {lesson.costly.name} ({factor}); rule: {lesson.rule}"


def as_record(lessons: Sequence[Lesson], given: Setting) -> dict:
    """The lessons as a JSON-serialisable dict."""

    def record(design: Design) -> dict:
        return {"name": design.name, "rows": [asdict(row) for row in design_rows(design, given)]}

    return {
        "setting": asdict(given),
        "lessons": [
            {
                "title": lesson.title,
                "costly": record(lesson.costly),
                "cheaper": record(lesson.cheaper),
                "ratio": lesson.ratio(given.size),
                "rule": lesson.rule,
            }
            for lesson in lessons
        ],
    }
