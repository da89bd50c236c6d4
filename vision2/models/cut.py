"""Cut a network after a layer: the layer names that are allowed, and the features that those layers return."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vision2.basics.errors import UserError, suggest
from vision2.models.heads import LINEAR, empty_head

if TYPE_CHECKING:
    from vision2.models.network import Network

LAST = "last"  # the input of the network's own head


class _AllReached(Exception):
    """Raised when all requested layers have run, to skip the rest of the network."""


def parse_layers(text: str, network: Network) -> list[str]:
    """Split `a+b` (or `a,b`, quoted on the command line) into layer names: `last`, a stage, or a module of the backbone.

    Raises:
        UserError: for a name the network does not have.
    """
    names = list(dict.fromkeys(name.strip() for name in re.split("[+,]", text) if name.strip()))
    if not names:
        raise UserError(
            f"strategy.layer is empty; give last or a stage of {network.name} ({_stages(network)}), or several joined by +"
        )
    allowed = [LAST, *network.layers()]
    for name in names:
        if name not in allowed:
            near = suggest(name, allowed, otherwise="")
            raise UserError(
                f"strategy.layer: {network.name} has no layer '{name}'{near} (allowed: {LAST}, {_stages(network)}, or a"
                " module name such as " + f"'{allowed[-1]}')"
            )
    return names


def _stages(network: Network) -> str:
    return ", ".join(stage for stage in network.stages if stage not in ("aux", "head"))


def layer_outputs(network: Network, layers: Sequence[str], images: Tensor, pooling: str) -> list[Tensor]:
    """(N, 3, H, W) -> (N, D) float32 for each layer, in one forward pass that stops after the deepest one.

    `pooling`: `pooled` averages over positions, `flattened` keeps them all. `network` must be in evaluation mode.
    """
    modules = {layer: network.module_at(layer) for layer in layers if layer != LAST}
    found: dict[str, Tensor] = {}

    def note(layer: str):
        def hook(_module: nn.Module, _inputs: tuple, output: Tensor) -> None:
            found[layer] = vectors(output, pooling)
            # An exporter traces the whole pass and drops unused results itself; an exception would end its trace.
            if len(found) == len(layers) and not torch.compiler.is_exporting():
                raise _AllReached

        return hook

    hooks = [module.register_forward_hook(note(layer)) for layer, module in modules.items()]
    try:
        output = network.backbone(images)
        found[LAST] = vectors(output if isinstance(output, Tensor) else output[0], pooling)
    except _AllReached:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return [found[layer] for layer in layers]


def vectors(output: Tensor, pooling: str) -> Tensor:
    """One vector per image: maps (N, C, H, W) and tokens (N, T, C) are averaged or flattened."""
    if output.ndim > 2 and pooling == "pooled":
        output = output.mean(tuple(range(2, output.ndim)) if output.ndim == 4 else 1)
    return output.flatten(1).float()


def with_saved_head(network: Network, record: dict | None, state: dict[str, Tensor]) -> Network:
    """`network` with the cut and head of a checkpoint's `classifier` record, ready for `load_state_dict(state)`.

    Raises:
        UserError: for an unknown kind of classifier or an unknown layer.
    """
    if not record or (record["kind"] == LINEAR and record["layer"] == LAST):
        return network
    head = {name.removeprefix("head."): value for name, value in state.items() if name.startswith("head.")}
    parse_layers(record["layer"], network)
    return network.cut_at(record["layer"], record["pooling"], empty_head(record["kind"], head))
