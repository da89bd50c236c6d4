"""Cutting a network after a layer, and putting another classifier on what comes out there."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vision2.basics.errors import UserError, suggest
from vision2.features.heads import LINEAR, empty_head
from vision2.models.network import Network, Output

LAST = "last"  # what the network's own head sees


class _Reached(Exception):
    """Every wanted layer has spoken; the rest of the network need not run."""


def parse_layers(text: str, network: Network) -> list[str]:
    """Names joined by `+` (or commas, which a shell command must quote), each `last`, a stage, or a module of the backbone.

    Raises:
        UserError: for a name the network does not have.
    """
    names = list(dict.fromkeys(name.strip() for name in re.split("[+,]", text) if name.strip()))
    if not names:
        raise UserError(
            f"strategy.layer is empty; give last, a stage of {network.name} ({_stages(network)}) or several"
        )
    allowed = [LAST, *network.layers()]
    for name in names:
        if name not in allowed:
            near = suggest(name, allowed)
            near = near if near.startswith(", did") else ""
            raise UserError(
                f"strategy.layer: {network.name} has no layer '{name}'{near} (allowed: {LAST}, {_stages(network)}, or a"
                " module name such as " + f"'{allowed[-1]}')"
            )
    return names


def _stages(network: Network) -> str:
    return ", ".join(stage for stage in network.stages if stage not in ("aux", "head"))


def layer_outputs(network: Network, layers: Sequence[str], images: Tensor, pooling: str) -> list[Tensor]:
    """(N, 3, H, W) -> (N, D) float32 for each layer, in one pass that ends at the deepest of them.

    `pooled` averages over positions, `flattened` keeps each one. `network` is expected in evaluation mode.
    """
    modules = {layer: network.module_at(layer) for layer in layers if layer != LAST}
    found: dict[str, Tensor] = {}

    def note(layer: str):
        def hook(_module: nn.Module, _inputs: tuple, output: Tensor) -> None:
            found[layer] = vectors(output, pooling)
            # An exporter writes down what runs and leaves out what is not used; the jump would lose it its place.
            if len(found) == len(layers) and not torch.compiler.is_exporting():
                raise _Reached

        return hook

    hooks = [module.register_forward_hook(note(layer)) for layer, module in modules.items()]
    try:
        output = network.backbone(images)
        found[LAST] = vectors(output if isinstance(output, Tensor) else output[0], pooling)
    except _Reached:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return [found[layer] for layer in layers]


def vectors(output: Tensor, pooling: str) -> Tensor:
    """One vector an image: maps (N, C, H, W) and tokens (N, T, C) are averaged or flattened."""
    if output.ndim > 2 and pooling == "pooled":
        output = output.mean(tuple(range(2, output.ndim)) if output.ndim == 4 else 1)
    return output.flatten(1).float()


class CutNetwork(nn.Module):
    """The backbone of `network` up to `layer`, frozen, and a head on its features; else it behaves like a `Network`.

    State-dict keys are those of a `Network`: `backbone.*` and `head.*`.
    """

    def __init__(self, network: Network, layer: str, pooling: str, head: nn.Module):
        super().__init__()
        self.name, self.card, self.preprocessing = network.name, network.card, network.preprocessing
        self.backbone, self.head, self.layer, self.pooling = network.backbone, head, layer, pooling
        self._module_at = network.module_at
        # Auxiliary classifiers are part of what stays as it is.
        self.stages = {
            "aux, unused" if stage == "aux" else stage: prefixes for stage, prefixes in network.stages.items()
        }
        self.layers, self.aux_heads = network.layers, {}

    @property
    def num_features(self) -> int:
        return self.head.in_features

    @property
    def num_classes(self) -> int:
        return self.head.out_features

    def module_at(self, layer: str) -> nn.Module:
        return self._module_at(layer)

    def train(self, mode: bool = True) -> CutNetwork:
        super().train(mode)
        self.backbone.eval()
        return self

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, D): what the head sees."""
        return layer_outputs(self, [self.layer], images, self.pooling)[0]

    def forward(self, inputs: Tensor) -> Output:
        """Images (N, 3, H, W), or features (N, D) computed before -> logits (N, K)."""
        features = inputs if inputs.ndim == 2 else self.features(inputs)
        return Output(self.head(features), {})


def with_saved_classifier(network: Network, record: dict, state: dict[str, Tensor]) -> Network | CutNetwork:
    """The network a checkpoint describes by its `classifier` record, ready for `load_state_dict(state)`.

    A linear head after the last layer makes it the network it was cut from.

    Raises:
        UserError: for a kind of classifier or a layer this version does not know.
    """
    if record["kind"] == LINEAR and record["layer"] == LAST:
        return network
    head = {name.removeprefix("head."): value for name, value in state.items() if name.startswith("head.")}
    parse_layers(record["layer"], network)
    return CutNetwork(network, record["layer"], record["pooling"], empty_head(record["kind"], head))
