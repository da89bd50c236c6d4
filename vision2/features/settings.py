"""The environment variable that chooses what computes features on a CPU; read without importing torch."""

from __future__ import annotations

import os
from importlib.util import find_spec

from vision2.basics.errors import UserError

VARIABLE = "VISION2_FEATURE_ENGINE"
CHOICES = ("auto", "onnxruntime", "torch")


def wanted_engine() -> str:
    """The value of $VISION2_FEATURE_ENGINE, by default auto.

    Raises:
        UserError: for an unknown value, and for onnxruntime when it is not installed.
    """
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted not in CHOICES:
        raise UserError(f"the environment variable {VARIABLE} is '{wanted}'; it must be auto, onnxruntime or torch")
    if wanted == "onnxruntime" and not installed():
        raise UserError(
            f"{VARIABLE}=onnxruntime needs the packages onnx and onnxruntime; install them with: pip install 'vision2[onnx]',"
            f" or use {VARIABLE}=auto"
        )
    return wanted


def installed() -> bool:
    return find_spec("onnx") is not None and find_spec("onnxruntime") is not None
