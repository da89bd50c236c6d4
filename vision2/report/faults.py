"""Mark what comes from runs with a fault (`fault=NAME`): a red banner on the page, a red title above the figures."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from vision2.faults.table import FAULTS
from vision2.report.document import Banner, Document
from vision2.report.material import Material
from vision2.report.texts import Say
from vision2.runs.groups import Group

WRONG = "contradicted"  # the red of a banner
RED = "#9c1f18"


def add_faults(document: Document, material: Material) -> None:
    """Add a banner for each fault of the runs."""
    say, names = material.say, dict.fromkeys(str(run.config["fault"]) for run in material.runs if run.config.get("fault"))
    wrong = say("These results are wrong by design.")
    banners = [Banner(WRONG, f"fault={name}", f"{_told(name, material.language)}. {wrong}") for name in names]
    document.add(say("Faults on purpose"), *banners)


def _told(name: str, language: str) -> str:
    """The sentence of a fault with a capital letter; its name if this version does not know it."""
    sentence = FAULTS[name].told(language) if name in FAULTS else name
    return sentence[:1].upper() + sentence[1:]


def mark_faults(axes: Axes, groups: Sequence[Group], say: Say) -> None:
    """Give a figure with runs that have a fault a red title."""
    names = list(dict.fromkeys(str(group.config["fault"]) for group in groups if group.config.get("fault")))
    if len(names) == 1:
        axes.set_title(say("fault on purpose: {name}", name=names[0]), color=RED, fontsize=9)
    elif names:
        axes.set_title(say("some runs have a fault on purpose"), color=RED, fontsize=9)
