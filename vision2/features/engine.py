"""Run a frozen network through onnxruntime on a CPU, where that is faster than torch and gives the same features.

The network is exported once per weights, architecture, layers and size, to a file beside the stored features. Its features
differ from torch's by rounding only: by at most `TOLERANCE` of the largest feature, which is checked each time on a few
images. Whatever goes wrong (a missing package, an operation that cannot be exported, another result), torch computes them.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from vision2.basics.atomic_write import replacing
from vision2.basics.errors import UserError
from vision2.features.settings import installed
from vision2.models.cut import layer_outputs
from vision2.models.fusing import agree
from vision2.models.network import Network

Engine = Callable[[Tensor], list[Tensor]]  # (N, 3, H, W) -> (N, D) for each layer

TOLERANCE = 1e-5  # of the largest feature; folding batch normalisations alone changes about 1e-6
CHECKED = 3  # images; not the batch size of the export
OPSET = 17
# An export takes 0.6 s (MobileNet v2) to 1.1 s (ResNet-18) of processor time in a new process, and onnxruntime saves about
# 22 and 4 ms per billion multiply-adds, so that it pays from 30 and 290 billion on; the file then serves later runs.
PAYS_FROM = 200e9  # multiply-adds of all images
PAYS_FROM_IMAGES = 64  # below, counting would cost too large a share


class Cut(nn.Module):
    """Images (N, 3, H, W) -> a tuple of features (N, D), one for each layer; this is what is exported."""

    def __init__(self, network: Network, layers: Sequence[str], pooling: str):
        super().__init__()
        self.network, self.layers, self.pooling = network, layers, pooling
        self.eval()  # of this module too, or the exporter would put the network back into training mode

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(layer_outputs(self.network, self.layers, images, self.pooling))


def onnx_engine(cut: Cut, images: Tensor, count: int, *, file: Path | None, wanted: str = "auto") -> Engine | None:
    """An engine with the features of `cut`, or None where torch should compute them.

    Args:
        cut: in evaluation mode, on the CPU, in float32.
        images: (N, 3, H, W) of the first batch, for the check.
        count: number of images to be computed; few are not worth an export.
        file: where the export is, or is to be, stored; None keeps it in memory.
    """
    stored = file is not None and file.is_file()
    if wanted == "torch" or not installed() or (wanted == "auto" and not stored and count < PAYS_FROM_IMAGES):
        return None
    images = images[:CHECKED].contiguous()
    expected, multiply_adds = _counted(cut, images)
    if stored:
        with suppress(Exception):  # of many kinds, for a damaged file; it is made again
            return _checked(file.read_bytes(), images, expected)
        with suppress(OSError):
            file.unlink()
    if wanted == "auto" and count * multiply_adds < PAYS_FROM:
        return None
    try:
        exported = _export(cut, images)
        engine = _checked(exported, images, expected)
    except Exception:  # the exporter and onnxruntime raise many kinds, and torch can always do the work
        return None
    if file is not None:
        with suppress(UserError), replacing(file) as temporary:
            temporary.write_bytes(exported)
    return engine


def _counted(cut: Cut, images: Tensor) -> tuple[tuple[Tensor, ...], float]:
    """The features by torch, and the multiply-adds of convolutions and linear layers per image.

    `profiling.count` also counts attention, but loads torch's compiler, which takes longer than an export.
    """
    total = 0

    def count(module: nn.Module, _inputs: tuple, output: Tensor) -> None:
        nonlocal total
        total += module.weight.numel() * output.numel() // output.shape[1 if isinstance(module, nn.Conv2d) else -1]

    kinds = nn.Conv2d | nn.Linear
    hooks = [module.register_forward_hook(count) for module in cut.modules() if isinstance(module, kinds)]
    try:
        with torch.inference_mode():
            return cut(images), total / len(images)
    finally:
        for hook in hooks:
            hook.remove()


def _export(cut: Cut, images: Tensor) -> bytes:
    """An ONNX file with a dynamic batch size, by the exporter that traces: the newer one takes 4 to 16 times as long."""
    archive = io.BytesIO()
    names = [f"features{index}" for index in range(len(cut.layers))]
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            cut, (torch.zeros(2, *images.shape[1:]),), archive, dynamo=False, opset_version=OPSET,
            input_names=["images"], output_names=names, dynamic_axes={name: {0: "batch"} for name in ("images", *names)},
        )  # fmt: skip
    return archive.getvalue()


def _checked(exported: bytes, images: Tensor, expected: Sequence[Tensor]) -> Engine:
    """An engine for the exported network.

    Raises:
        ValueError: if its features are not `expected`; and other errors, of onnxruntime.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # problems are handled here
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait in a loop take the processor from other programs; on a free machine they gain nothing here.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> list[Tensor]:
        return [torch.from_numpy(rows) for rows in session.run(None, {"images": images.contiguous().numpy()})]

    found = run(images)
    if not all(agree(a, b, TOLERANCE) for a, b in zip(expected, found, strict=True)):
        raise ValueError("the exported network gives other features")
    return run
