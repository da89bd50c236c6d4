"""Report how much of a network was loaded, and refuse weights that leave too much of it random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from vision2.basics.errors import UserError, first_few
from vision2.basics.preprocessing import Preprocessing
from vision2.basics.safe_text import printable
from vision2.models.network import Network
from vision2.models.weights.shapes import first_kernel

if TYPE_CHECKING:
    from vision2.models.weights.load import WeightsSource

SHOWN = 3  # names listed in a message
STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class WeightsReport:
    """What was loaded. Totals are those of the backbone, without auxiliary classifiers and batch counters."""

    source: str
    sha256: str
    tensors_loaded: int
    tensors_total: int
    parameters_loaded: int
    parameters_total: int
    layers_loaded: int  # modules with all their tensors loaded, including running statistics
    layers_total: int
    adapted: tuple[str, ...]  # changed to fit
    dropped: tuple[str, ...]  # in the file but not used
    kept: tuple[str, ...]  # in the network but not loaded: they keep their random initial values
    head: str  # begins with `kept` or `new`
    notes: tuple[str, ...]  # which of the file's tensors were used, and how they were matched and adapted
    preprocessing: Preprocessing

    @property
    def coverage(self) -> float:
        """The share of parameters or the share of layers that was loaded, whichever is smaller."""
        return min(self.parameters_loaded / self.parameters_total, self.layers_loaded / self.layers_total)

    @property
    def head_is_new(self) -> bool:
        return self.head.startswith("new")

    def describe(self) -> str:
        """A summary line, a line on the head, and more lines if anything was not loaded unchanged."""
        lines = [
            f"weights: {self.source} (sha256 {self.sha256[:12]}), {self.tensors_loaded} of {self.tensors_total} backbone"
            f" tensors, {self.parameters_loaded:,} of {self.parameters_total:,} parameters",
            f"  head: {self.head}",
            *(f"  {note}" for note in self.notes),
        ]
        for text, names in (("adapted", self.adapted), ("dropped", self.dropped), ("randomly initialised", self.kept)):
            if names:
                lines.append(f"  {text}: {_some(names)}")
        return "\n".join(map(printable, lines))


def report_of(
    network: Network,
    source: WeightsSource,
    given: Mapping[str, Tensor],
    fitting: Mapping[str, Tensor],
    *,
    adapted: Mapping[str, str],
    head: str,
    notes: Sequence[str],
) -> WeightsReport:
    """Report on using `fitting` of the file's tensors `given` (both by our names); `adapted` holds the rules applied."""
    aside = tuple(p for stage in ("head", "aux") for p in network.stages.get(stage, ()))
    parameters = dict(network.named_parameters())
    counted = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    backbone = [name for name in counted if not name.startswith(aside)]
    layers = {name.rpartition(".")[0] for name in backbone}
    incomplete = {name.rpartition(".")[0] for name in backbone if name not in fitting}
    return WeightsReport(
        source=source.name,
        sha256=source.sha256,
        tensors_loaded=sum(name in fitting for name in backbone),
        tensors_total=len(backbone),
        parameters_loaded=sum(parameters[n].numel() for n in backbone if n in parameters and n in fitting),
        parameters_total=sum(parameters[n].numel() for n in backbone if n in parameters),
        layers_loaded=len(layers - incomplete),
        layers_total=len(layers),
        adapted=tuple(adapted),
        dropped=tuple(name for name in given if name not in fitting and not name.endswith("num_batches_tracked")),
        kept=tuple(name for name in counted if name not in fitting),
        head=head,
        notes=(*notes, *(f"{name}: {rule}" for name, rule in adapted.items())),
        preprocessing=source.preprocessing,
    )


def check_complete(network: Network, report: WeightsReport, min_coverage: float) -> None:
    """Raise UserError if coverage is too low, or the first layer or running statistics of loaded layers are missing."""
    if report.coverage < min_coverage or report.parameters_loaded == 0:
        raise UserError(
            f"{report.source} fills {report.coverage:.1%} of the backbone of {network.name}, which is not enough"
            f" (weights.min_coverage={min_coverage:g}; missing: {_some(report.kept)}; not used: {_some(report.dropped)});"
            " choose the model that the file was made for, or give another file with weights.path=FILE"
        )
    first = first_kernel(dict(network.named_parameters()))
    if first in report.kept:
        raise UserError(
            f"{report.source} has no first layer that fits {network.name} ({first}; it may have 1, 3 or 4 input channels),"
            " and the other layers are useless behind a random one; give another file with weights.path=FILE"
        )
    missing = set(report.kept)
    without = [
        name
        for name in report.kept
        if name.endswith(STATISTICS) and f"{name.rpartition('.')[0]}.weight" not in missing and not name.startswith("head.")
    ]
    if without:
        raise UserError(
            f"{report.source} lacks batch-norm running statistics of {network.name} ({_some(without)}), so its outputs would"
            " be wrong; give a file that holds the whole model.state_dict() with weights.path=FILE"
        )


def _some(names: Sequence[str]) -> str:
    return first_few(names, SHOWN) or "none"
