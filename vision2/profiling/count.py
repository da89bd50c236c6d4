"""Count parameters, multiply-adds and activation memory by stage, with and without auxiliary classifiers.

Multiply-adds (MACs) are those of convolutions, linear layers and attention: torch's FlopCounterMode divided by two. Norms,
activations and pooling are not counted. Everything runs on a copy on the meta device, so no arithmetic is done and the
network itself is not touched.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from vision2.models.network import Network
from vision2.profiling.receptive import ReceptiveFields

CONVENTION = "multiply-adds of convolutions and linear layers (FlopCounterMode / 2), one image, evaluation mode"
BYTES_PER_VALUE = 4  # float32
PROBE_BATCH = 2  # batch norm in training mode refuses a single value per channel
# Functions that contain no product of matrices, by the names under which a TorchFunctionMode sees them.
WITHOUT_PRODUCTS = {
    "__get__", "__getitem__", "_assert", "adaptive_avg_pool2d", "adaptive_max_pool2d", "add", "add_",
    "avg_pool2d", "batch_norm", "cat", "contiguous", "dim", "dropout", "empty", "flatten", "hardsigmoid",
    "hardswish", "hardtanh", "max_pool2d", "mean", "mul", "mul_", "pad", "relu", "relu_", "reshape",
    "sigmoid", "silu", "size", "unsqueeze", "view",
}  # fmt: skip


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


def count_totals(network: Network, image_size_px: int) -> tuple[int, int]:
    """Parameters and multiply-adds as in `count_costs`, for the summary of a run.

    The operators that `count_costs` watches load torch's compiler, which takes longer than one forward pass of most networks;
    the functions watched here do not. It is only asked if the network uses others than these, such as attention.
    """
    watch = _Products()
    device = next(chain(network.parameters(), network.buffers())).device  # pixels without a head have no parameters
    images = torch.zeros(1, 3, image_size_px, image_size_px, device=device)
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad(), watch:
            network(images)
    finally:
        for module, training in modes.items():
            module.training = training
    if not watch.knows_all:
        costs = count_costs(network, image_size_px)
        return costs.parameters, costs.multiply_adds
    return sum(parameters_of(network, stage) for stage in network.stages if stage != "aux"), watch.multiply_adds


class _Products(TorchFunctionMode):
    """Adds up the multiply-adds of convolutions and linear layers, and notes whether anything else may contain some."""

    def __init__(self):
        super().__init__()
        self.multiply_adds, self.knows_all = 0, True

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result, name = func(*args, **(kwargs or {})), getattr(func, "__name__", "")
        if name in ("conv2d", "linear") and len(args) > 1:
            self.multiply_adds += (
                result.numel() * args[1][0].numel()
            )  # weights (outputs, ...): each value sums over one output's
        elif name not in WITHOUT_PRODUCTS:
            self.knows_all = False
        return result


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
