"""Export a network to files that other programs run: ONNX and torch.export, both from images to probabilities."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from vision2.basics.errors import UserError
from vision2.models.network import Network, Probabilities

EXAMPLE_BATCH = 2  # a batch size of 1 would be treated as a constant
METADATA = "vision2.json"  # name of the metadata file in a .pt2 archive
INPUT, OUTPUT = "images", "probabilities"
CHECKED_BATCHES = (1, 3)  # neither is the batch size of the export
CHECKED_SEED = 1


def example_images(image_size_px: int, count: int = EXAMPLE_BATCH, seed: int = 0) -> Tensor:
    """Random images, normally distributed as normalised photographs roughly are."""
    return torch.randn(count, 3, image_size_px, image_size_px, generator=torch.Generator().manual_seed(seed))


def export_network(network: Network, path: Path, kind: str, metadata: dict) -> float:
    """Write the file (`kind`: onnx or torch_export), run it, and compare it with the network.

    Returns:
        The largest difference in any probability; NaN if either gives NaN or the shapes differ.

    Raises:
        UserError: if the optional packages for ONNX are not installed.
    """
    write, run_file = (write_onnx, run_onnx) if kind == "onnx" else (write_torch_export, run_torch_export)
    image_size_px, differences = network.preprocessing.image_size_px, []
    write(network, path, image_size_px, metadata)
    for count in CHECKED_BATCHES:
        images = example_images(image_size_px, count, seed=CHECKED_SEED)
        with torch.no_grad():
            expected, found = Probabilities(network)(images), run_file(path, images)
        if found.shape != expected.shape:
            return float("nan")
        differences.append((found - expected).abs().max())
    return float(torch.stack(differences).max())


def write_torch_export(network: Network, path: Path, image_size_px: int, metadata: dict) -> None:
    """A torch.export program (.pt2) with a dynamic batch size; `metadata` is stored in it as vision2.json."""
    images = example_images(image_size_px)
    with _quiet():
        program = torch.export.export(Probabilities(network), (images,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
        archive = io.BytesIO()  # a path would have to end in .pt2, and the temporary one does not
        torch.export.save(program, archive, extra_files={METADATA: json.dumps(metadata, ensure_ascii=False)})
    path.write_bytes(archive.getvalue())


def run_torch_export(path: Path, images: Tensor) -> Tensor:
    with _quiet():
        program = torch.export.load(io.BytesIO(path.read_bytes()))
    return program.module()(images)


def write_onnx(network: Network, path: Path, image_size_px: int, metadata: dict) -> None:
    """An ONNX file with a dynamic batch size; each entry of `metadata` becomes JSON text in metadata_props.

    Raises:
        UserError: if the optional packages are not installed.
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
    """The probabilities that onnxruntime computes from the file."""
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
            f"format=onnx needs the package {error.name}; install it with: pip install 'vision2[onnx]',"
            " or use format=torch_export"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters' warnings about their own internals; the file is checked afterwards."""
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
