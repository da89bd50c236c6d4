"""Match the tensors of a file to those of a network, whatever wrappers, prefixes and names the file has.

They are matched by name first, under the prefix where most of the network's own names are found. If some are missing, the
names are converted as timm does; if some still are, but all shapes and kinds come in the network's order, order decides.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from torch import Tensor

from vision2.basics.errors import UserError
from vision2.models.network import Network
from vision2.models.weights.shapes import first_kernel, fitted

AVERAGED = re.compile(r"ema|averag|swa|teacher|(^|[._])avg([._]|$)")  # in training scripts' names for averaged weights
WRAPPERS = {"module", "_orig_mod", "model", "net", "network", "backbone", "encoder", "state_dict", "model_state_dict"}
RIVAL = 0.9  # a prefix with this share of the best prefix's matches is another set of weights
HEADS = ("head", "fc", "linear", "classifier", "_fc", "last_linear", "output", "logits")  # usual names for a classifier
KINDS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
COUNTER = "num_batches_tracked"
OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")  # torchvision's files: norm.1 for norm1
CONVERSION_ERRORS = (KeyError, IndexError, AttributeError, TypeError, ValueError, RuntimeError)


class Named(NamedTuple):
    """`tensors` under our names (`backbone.*`, `head.*`), including those that the network lacks; `notes` for the report."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()


class _Match(NamedTuple):
    """Which tensor of the file (by its name there) is which of the backbone, and where they were found."""

    names: dict[str, str]  # the backbone's name -> the file's
    prefix: str = ""
    others: tuple[str, ...] = ()  # prefixes of other sets of weights


def name_tensors(network: Network, tensors: dict[str, Tensor], key: str | None = None) -> Named:
    """All tensors of a file, the backbone's and the head's under our names.

    Args:
        key: `weights.key`: the set to use if the file holds several.

    Raises:
        UserError: for a key that the file lacks.
    """
    tensors = _below(tensors, key)
    wanted = {name: tensor for name, tensor in network.backbone.state_dict().items() if COUNTER not in name}
    match, notes = _by_name(tensors, wanted), []
    if len(match.names) < len(wanted):
        converted = _converted(network, tensors, match.prefix)
        again = _by_name(converted, wanted)
        if len(again.names) > len(match.names):
            tensors, match = converted, again
    if len(match.names) < len(wanted) and (ordered := _by_order(tensors, wanted)):
        match = ordered
        notes.append("the file uses other names; its tensors were matched by order, and all shapes fit")
    if match.others or (match.prefix and AVERAGED.search(match.prefix.lower())):
        notes.append(_described(match))
    head = _head(tensors, match, network)
    return Named(_renamed(tensors, match, head), tuple(notes))


def _below(tensors: dict[str, Tensor], key: str | None) -> dict[str, Tensor]:
    if key is None:
        return tensors
    found = {name: tensor for name, tensor in tensors.items() if name.startswith(key.rstrip(".") + ".")}
    if not found:
        keys = list(dict.fromkeys(name.split(".")[0] for name in tensors))
        raise UserError(f"weights.key={key} is not in the file; give one of its keys ({', '.join(keys[:8])}) or leave it out")
    return found


def _by_name(tensors: dict[str, Tensor], wanted: dict[str, Tensor]) -> _Match:
    """Match by name, under the prefix where most of the wanted names have a shape that fits."""
    first, found = first_kernel(wanted), {}
    for name, tensor in tensors.items():
        for start in [0, *(dot.end() for dot in re.finditer(r"\.", name))]:
            own = name[start:]
            if own in wanted and fitted(tensor, wanted[own], first=own == first) is not None:
                found.setdefault(name[:start], {})[own] = name
    if not found:
        return _Match({}, _known_wrapper(tensors))
    most = max(map(len, found.values()))
    prefix, others = _chosen([prefix for prefix, names in found.items() if len(names) >= RIVAL * most])
    return _Match(found[prefix], prefix, others)


def _chosen(prefixes: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The prefix to use and the others: averaged weights if there are any, as in timm's and torchvision's evaluation."""
    prefix = next((prefix for prefix in prefixes if AVERAGED.search(prefix.lower())), prefixes[0])
    return prefix, tuple(other for other in prefixes if other != prefix)


def _known_wrapper(tensors: Iterable[str]) -> str:
    prefix = ""
    while True:
        parts = {name[len(prefix) :].partition(".")[0] for name in tensors}
        if len(parts) != 1 or not parts <= WRAPPERS:
            return prefix
        prefix += parts.pop() + "."


def _converted(network: Network, tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """`tensors` with torchvision's old DenseNet names renamed, and old layouts and image sizes converted as by timm."""
    inside = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    inside = {(f"{m[1]}{m[2]}" if (m := OLD_DENSENET.fullmatch(name)) else name): tensor for name, tensor in inside.items()}
    convert = getattr(sys.modules[type(network.backbone).__module__], "checkpoint_filter_fn", None)
    if convert is not None and network.card.family == "timm":
        with suppress(*CONVERSION_ERRORS):  # a file in a layout that timm does not know
            inside = convert(dict(inside), network.backbone)
    outside = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefix)}
    return outside | {prefix + name: tensor for name, tensor in inside.items()}


def _by_order(tensors: dict[str, Tensor], wanted: dict[str, Tensor]) -> _Match | None:
    """Match all wanted tensors by position, to consecutive tensors of the same kinds and shapes."""
    scopes = [name[: dot.end()] for name in tensors for dot in list(re.finditer(r"\.", name))[:2]]
    found: dict[str, list[str]] = {}
    for scope in dict.fromkeys([*scopes, ""]):
        names = [n for n, tensor in tensors.items() if n.startswith(scope) and COUNTER not in n and tensor.ndim > 0]
        run = _run_that_fits(tensors, names, wanted)
        if run and run not in found.values():
            found[scope] = run
    if not found:
        return None
    prefix, others = _chosen(list(found))
    return _Match(dict(zip(wanted, found[prefix], strict=True)), prefix, others)


def _run_that_fits(tensors: dict[str, Tensor], names: list[str], wanted: dict[str, Tensor]) -> list[str] | None:
    first = first_kernel(wanted)

    def fits(name: str, own: str) -> bool:
        kind = name.rpartition(".")[2]
        same_kind = KINDS.get(kind, kind) == own.rpartition(".")[2]
        return same_kind and fitted(tensors[name], wanted[own], first=own == first) is not None

    for start in range(len(names) - len(wanted) + 1):
        run = names[start : start + len(wanted)]
        if all(fits(name, own) for name, own in zip(run, wanted, strict=True)):
            return run
    return None


def _described(match: _Match) -> str:
    taken = match.prefix.rstrip(".") or "the tensors without a prefix"
    kind = " (averaged weights)" if AVERAGED.search(match.prefix.lower()) else ""
    others = [other.rstrip(".") for other in match.others if other]
    return f"taken from {taken}{kind}" + (f"; for another set give weights.key={' or '.join(others)}" if others else "")


def _head(tensors: dict[str, Tensor], match: _Match, network: Network) -> str | None:
    """The file's name for the classifier, searched for next to the backbone and then around it; None if there is none."""
    used, scope = set(match.names.values()), match.prefix
    while True:
        rest = {
            name.removeprefix(scope): tensor
            for name, tensor in tensors.items()
            if name.startswith(scope) and name not in used and not any(o and name.startswith(o) for o in match.others)
        }
        linear = _linear_on_features(rest, network)
        if linear or not scope:
            return scope + linear if linear else None
        scope = scope.rstrip(".").rpartition(".")[0] + "." if "." in scope.rstrip(".") else ""


def _linear_on_features(rest: dict[str, Tensor], network: Network) -> str | None:
    """The linear layer that takes the network's features and feeds no other layer."""
    layers = {name.removesuffix(".weight"): t for name, t in rest.items() if name.endswith(".weight") and t.ndim in (2, 4)}

    def is_last(name: str) -> bool:
        top, width = name.split(".")[0], len(layers[name])
        return not any(o != name and o.split(".")[0] == top and t.shape[1] == width for o, t in layers.items())

    candidates = [n for n, t in layers.items() if t[0].numel() == network.num_features == t.shape[1] and is_last(n)]
    named = [name for name in (network.head_key, *HEADS) if name in candidates]
    return named[0] if named else candidates[0] if len(candidates) == 1 else None


def _renamed(tensors: dict[str, Tensor], match: _Match, head: str | None) -> dict[str, Tensor]:
    own = {file: f"backbone.{name}" for name, file in match.names.items()}
    renamed = {}
    for name, tensor in tensors.items():
        if any(other and name.startswith(other) for other in match.others):
            continue
        if head is not None and name in (f"{head}.weight", f"{head}.bias"):
            renamed[f"head.{name.rpartition('.')[2]}"] = tensor.flatten(1) if tensor.ndim > 1 else tensor
        elif name in own:
            renamed[own[name]] = tensor
        elif tensor.ndim > 0 or COUNTER in name:
            inside = name.startswith(match.prefix)
            renamed[f"backbone.{name.removeprefix(match.prefix)}" if inside else name] = tensor
    if "head.weight" in renamed and "head.bias" not in renamed:  # a layer without a bias adds zero
        renamed["head.bias"] = renamed["head.weight"].new_zeros(len(renamed["head.weight"]))
    return renamed
