"""Count parameters, multiply-adds and activation memory by stage, with and without auxiliary classifiers.

Multiply-adds (MACs) are those of convolutions, linear layers and attention: torch's FlopCounterMode divided by two. Norms,
activations and pooling are not counted. Everything runs on a copy on the meta device, so no arithmetic is done and the
network itself is not touched.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vision2.models.network import Network
from vision2.profiling.receptive import ReceptiveFields

CONVENTION = "multiply-adds of convolutions and linear layers (FlopCounterMode / 2), one image, evaluation mode"
BYTES_PER_VALUE = 4  # float32
PROBE_BATCH = 2  # batch norm in training mode refuses a single value per channel


@dataclass(frozen=True)
class StageCost:
    """One row of the table; `activation_bytes` is for all layer outputs of the stage, for one image in float32.

    `receptive_field_px` is the largest over all paths (None after attention, global pooling or a linear layer).
    """

    stage: str
    output_shape: tuple[int, ...]  # (C, H, W) or (D,)
    parameters: int
    multiply_adds: int
    activation_bytes: int
    receptive_field_px: int | None


@dataclass(frozen=True)
class Costs:
    """Totals without and with auxiliary classifiers, and the rows that add up to them."""

    image_size_px: int
    parameters: int
    multiply_adds: int
    parameters_aux: int
    multiply_adds_aux: int  # in training mode, the only one that runs the auxiliary classifiers
    activation_bytes: int
    stages: tuple[StageCost, ...]
    convention: str = CONVENTION


def count_costs(network: Network, image_size_px: int) -> Costs:
    """Count `network` on one image of (3, image_size_px, image_size_px)."""
    blank = _without_memory(network)
    counted = _counted(blank.eval(), image_size_px)
    rows = tuple(_row(network, stage, counted) for stage in network.stages if stage != "aux")
    parameters = sum(row.parameters for row in rows)
    auxiliary = parameters_of(network, "aux") if "aux" in network.stages else 0
    total = counted.multiply_adds
    with_aux = _counted(blank.train(), image_size_px).multiply_adds if auxiliary else total
    memory = sum(row.activation_bytes for row in rows)
    return Costs(image_size_px, parameters, total, parameters + auxiliary, with_aux, memory, rows)


def parameters_of(network: Network, stage: str) -> int:
    prefixes = network.stages[stage]
    return sum(p.numel() for name, p in network.named_parameters() if name.startswith(prefixes))


def _without_memory(network: Network) -> Network:
    """A copy whose parameters and buffers are on the meta device; `deepcopy` finds them in its memo."""
    memo = {id(buffer): torch.empty_like(buffer, device="meta") for buffer in network.buffers()}
    memo |= {id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad) for p in network.parameters()}
    return copy.deepcopy(network, memo)


@dataclass
class _Counted:
    multiply_adds: int
    by_module: dict[str, int]
    shapes: dict[str, tuple[int, ...]]  # module name -> output shape without the batch
    values: dict[str, int]  # leaf module name -> number of output values for one image
    receptive: dict[str, int | None]  # module name -> pixels


def _counted(network: Network, image_size_px: int) -> _Counted:
    """Run the network once on the meta device and record what its modules do."""
    shapes, values, receptive = {}, {}, {}
    images = torch.empty(PROBE_BATCH, 3, image_size_px, image_size_px, device="meta")
    fields = ReceptiveFields(images)

    def watch(name: str, is_leaf: bool):
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                shapes[name] = tuple(output.shape[1:])
                receptive[name] = fields.of(output)
                if is_leaf:
                    values[name] = values.get(name, 0) + output[0].numel()

        return hook

    handles = [
        module.register_forward_hook(watch(name, not any(True for _ in module.children())))
        for name, module in network.named_modules()
    ]
    with FlopCounterMode(display=False) as counter, fields, torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    counts = {name: sum(ops.values()) // (2 * PROBE_BATCH) for name, ops in counter.get_flop_counts().items()}
    by_module = {name.partition(".")[2]: n for name, n in counts.items() if "." in name}
    return _Counted(counts.get("Global", 0), by_module, shapes, values, receptive)


def _row(network: Network, stage: str, counted: _Counted) -> StageCost:
    names = network.stage_modules(stage)
    inside = tuple(f"{name}." for name in names)
    shape_of = next((name for name in reversed(names) if name in counted.shapes), None)
    return StageCost(
        stage=stage,
        output_shape=counted.shapes.get(shape_of, ()),
        parameters=parameters_of(network, stage),
        multiply_adds=sum(_multiply_adds(network, name, counted.by_module) for name in names),
        activation_bytes=BYTES_PER_VALUE * sum(n for name, n in counted.values.items() if f"{name}.".startswith(inside)),
        receptive_field_px=counted.receptive.get(shape_of),
    )


def _multiply_adds(network: Network, name: str, by_module: dict[str, int]) -> int:
    """Multiply-adds of a module and all inside it; a ModuleList is never called itself, so its members are added up."""
    if name in by_module or name in dict(network.named_parameters()):
        return by_module.get(name, 0)
    children = network.get_submodule(name).named_children()
    return sum(_multiply_adds(network, f"{name}.{child}", by_module) for child, _ in children)
