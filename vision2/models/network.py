"""The interface of every network: a backbone that returns features, a head on them, named stages and auxiliary outputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from torch import Tensor, nn

from vision2.models.cards import ModelCard
from vision2.models.cut import LAST, layer_outputs


class Output(NamedTuple):
    """`logits` (N, K) of a batch; `aux` maps the name of each auxiliary classifier to its logits (N, K)."""

    logits: Tensor
    aux: dict[str, Tensor]


@dataclass
class NetworkParts:
    """What a builder returns and a `Network` is made of.

    `backbone` returns features (N, D), or, in training mode with auxiliary classifiers, a tuple of features and auxiliary
    logits in the order of `aux_linears`. `stages` maps each stage, from input to output, to modules of the backbone, the
    last of which returns the stage's output.
    """

    backbone: nn.Module
    head: nn.Module
    stages: dict[str, tuple[str, ...]]
    head_key: str | None  # the library's own name for the classifier, e.g. "classifier.6"
    aux_linears: dict[str, str] = field(default_factory=dict)  # auxiliary output -> its last linear layer in the backbone


class Network(nn.Module):
    """Backbone and head. State-dict keys are `backbone.<the library's own names>` and `head.weight`, `head.bias`."""

    def __init__(self, parts: NetworkParts, card: ModelCard, *, layer: str = LAST, pooling: str = "pooled"):
        super().__init__()
        self.layer, self.pooling, self._parts = layer, pooling, parts
        self.name, self.card, self.preprocessing = card.name, card, card.preprocessing
        self.backbone, self.head, self.head_key = parts.backbone, parts.head, parts.head_key
        self.aux_linears = {name: f"backbone.{linear}" for name, linear in parts.aux_linears.items()}
        self._stage_modules = {stage: tuple(f"backbone.{m}" for m in names) for stage, names in parts.stages.items()}
        parameters = {name for name, _ in self.named_parameters()}
        self.stages = {stage: self._prefixes(names, parameters) for stage, names in self._stage_modules.items()}
        if parts.aux_linears:
            self.stages["aux"] = tuple(f"backbone.{linear.partition('.')[0]}." for linear in parts.aux_linears.values())
        self.stages["head"] = ("head.",)

    def _prefixes(self, names: tuple[str, ...], parameters: set[str]) -> tuple[str, ...]:
        """Parameter-name prefixes of a stage: `backbone.layer1.`, or the full name of a parameter outside any module."""
        modules = [n for n in names if n not in parameters and any(True for _ in self.get_submodule(n).parameters())]
        return tuple([n for n in names if n in parameters] + [f"{n}." for n in modules])

    @property
    def num_features(self) -> int:
        return self.head.in_features

    @property
    def num_classes(self) -> int:
        return self.head.out_features

    def _run_backbone(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        result = self.backbone(images)
        if isinstance(result, Tensor):
            return result, {}
        return result[0], dict(sorted(zip(self.aux_linears, result[1:], strict=True)))

    def cut_at(self, layer: str, pooling: str, head: nn.Module) -> Network:
        """This network up to `layer` (one of `layers()`, or `last`), with `head` on its features; the backbone is shared."""
        cut = Network(replace(self._parts, head=head), self.card, layer=layer, pooling=pooling)
        cut.preprocessing = self.preprocessing
        return cut

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, D), the input of the head."""
        if self.layer == LAST:
            return self._run_backbone(images)[0]
        return layer_outputs(self, [self.layer], images, self.pooling)[0]

    def classify(self, features: Tensor) -> Output:
        """Features (N, D) -> logits (N, K)."""
        return Output(self.head(features), {})

    def forward(self, images: Tensor) -> Output:
        """(N, 3, H, W) -> logits (N, K); auxiliary logits only in training mode."""
        if self.layer != LAST:
            return self.classify(self.features(images))
        features, aux = self._run_backbone(images)
        return Output(self.head(features), aux)

    def stage_modules(self, stage: str) -> tuple[str, ...]:
        """Full names of a stage's modules, and of its parameters outside any module, from input to output."""
        if stage in self._stage_modules:
            return self._stage_modules[stage]
        return tuple(prefix.rstrip(".") for prefix in self.stages[stage])

    def layers(self) -> list[str]:
        """Names at which the network can be cut: first its stages, then every backbone module within a stage."""
        inside = tuple(f"{name}." for names in self._stage_modules.values() for name in names)
        modules = [name.removeprefix("backbone.") for name, _ in self.named_modules() if f"{name}.".startswith(inside)]
        return list(dict.fromkeys([*self._stage_modules, *modules]))

    def module_at(self, layer: str) -> nn.Module:
        """The module whose output is the output of `layer`, one of `layers()`."""
        if layer not in self._stage_modules:
            return self.backbone.get_submodule(layer)
        modules = dict(self.named_modules())
        return modules[next(name for name in reversed(self._stage_modules[layer]) if name in modules)]


class Probabilities(nn.Module):
    """Normalised images (N, 3, S, S) -> softmax probabilities (N, K), in evaluation mode; this is what is exported."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).logits.float().softmax(1)


def take_linear(model: nn.Module, name: str) -> nn.Linear:
    """Remove the linear layer `name` from a library's network and return it; its input becomes the network's output."""
    parent, _, last = name.rpartition(".")
    linear = model.get_submodule(name)
    setattr(model.get_submodule(parent), last, nn.Identity())
    return linear
