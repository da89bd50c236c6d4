"""A network in files that other programs run: ONNX and torch.export, both from images to probabilities."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from vision2.basics.errors import UserError
from vision2.models.network import Network

EXAMPLE_BATCH = 2  # a batch of one would be taken for a constant
METADATA = "vision2.json"  # name of the metadata inside a .pt2 archive
INPUT, OUTPUT = "images", "probabilities"


class Probabilities(nn.Module):
    """(N, 3, S, S) normalised images -> (N, K) softmax probabilities, in evaluation mode."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).logits.float().softmax(1)


def example_images(image_size_px: int, count: int = EXAMPLE_BATCH, seed: int = 0) -> Tensor:
    """Normally distributed, as normalised images roughly are."""
    return torch.randn(count, 3, image_size_px, image_size_px, generator=torch.Generator().manual_seed(seed))


def write_torch_export(network: Network, path: Path, image_size_px: int, metadata: dict) -> None:
    """A torch.export program (.pt2) with a dynamic batch; `metadata` lies in it as vision2.json."""
    images = example_images(image_size_px)
    with _quiet():
        program = torch.export.export(
            Probabilities(network), (images,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
        )
        archive = io.BytesIO()  # a path would have to end in .pt2, and a temporary file does not
        torch.export.save(program, archive, extra_files={METADATA: json.dumps(metadata, ensure_ascii=False)})
    path.write_bytes(archive.getvalue())


def run_torch_export(path: Path, images: Tensor) -> Tensor:
    with _quiet():
        program = torch.export.load(io.BytesIO(path.read_bytes()))
    return program.module()(images)


def write_onnx(network: Network, path: Path, image_size_px: int, metadata: dict) -> None:
    """An ONNX file with a dynamic batch; each entry of `metadata` becomes JSON text in metadata_props.

    Raises:
        UserError: when the optional packages are not installed.
    """
    _need_onnx()
    with _quiet():
        program = torch.onnx.export(
            Probabilities(network),
            (example_images(image_size_px),),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            dynamo=True,
            verbose=False,
        )
    model = program.model
    model.metadata_props.update({key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()})
    program.save(str(path), external_data=False)


def run_onnx(path: Path, images: Tensor) -> Tensor:
    """What onnxruntime, a program of other people, makes of the file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (result,) = session.run([OUTPUT], {INPUT: images.numpy()})
    return torch.from_numpy(result)


def _need_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"format=onnx needs the package {error.name}; install the optional group with: pip install 'vision2[onnx]',"
            " or use format=torch_export"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters warn about their own insides; what counts is the check of the file afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
