"""A job that fails gets one sentence that says what to do, wherever it fails."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import torch

from vision2.config.compose import load_config
from vision2.jobs import run_job
from vision2.jobs.run_job import run_recorded

CPU = (
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"
    " 80000000000 bytes. Error code 12 (Cannot allocate memory)"
)
WINDOWS = "[enforce fail at alloc_cpu.cpp:116] data. DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."
MPS = "MPS backend out of memory (MPS allocated: 9.0 GB, other allocations: 1 MB, max allowed: 9.07 GB)."


def outcome_of(monkeypatch, error, *words):
    def fail(*_):
        raise error

    monkeypatch.setattr(run_job, "evaluate" if "mode=eval" in words else "run", fail)
    config = load_config(["train.batch_size=64", *[word for word in words if word != "mode=eval"]])
    config.mode = "eval" if "mode=eval" in words else "train"
    return run_recorded(config, "the command")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(CPU),
        RuntimeError(WINDOWS),
        RuntimeError(MPS),
        RuntimeError("CUDA error: out of memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((10**6, 10**6), np.dtype("float32")),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=lambda error: f"{type(error).__name__} {str(error)[:30]}",
)
@pytest.mark.parametrize("mode", ["mode=train", "mode=eval"])
def test_out_of_memory_on_every_device_is_recognised(error, mode, monkeypatch, tmp_path):
    outcome = outcome_of(monkeypatch, error, mode, f"output_dir={tmp_path / 'outputs'}")
    assert outcome.exit_code == 2
    assert "out of memory with train.batch_size=64" in outcome.error
    what = {"mode=train": "train.batch_size=32 with train.accumulate=2", "mode=eval": "set train.batch_size=32"}[mode]
    assert what in outcome.error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("possible", "words", "advised"),
    [
        (True, [], True),
        (False, [], False),
        (True, ["train.precision=bfloat16"], False),
        (True, ["mode=eval"], False),
    ],
)
def test_bfloat16_is_advised_only_if_it_would_change_something(possible, words, advised, monkeypatch):
    monkeypatch.setattr("vision2.training.precision.cpu_has_bfloat16", lambda: possible)
    error = outcome_of(monkeypatch, MemoryError(), "device=cpu", "train.precision=float32", *words).error
    assert ("set train.precision=bfloat16" in error) == advised


def test_a_batch_of_one_image_is_not_to_be_halved(monkeypatch):
    error = outcome_of(monkeypatch, MemoryError(), "train.batch_size=1").error
    assert "accumulate" not in error and "use smaller images" in error


def test_an_automatic_batch_size_is_replaced_by_a_smaller_one(monkeypatch):
    assert "set a smaller train.batch_size" in outcome_of(monkeypatch, MemoryError(), "train.batch_size=null").error


def test_a_file_that_may_not_be_read_is_one_sentence(monkeypatch, tmp_path):
    error = PermissionError(13, "Permission denied", "/x/y")
    outcome = outcome_of(monkeypatch, error, f"output_dir={tmp_path / 'outputs'}")
    assert (outcome.exit_code, outcome.error) == (2, "/x/y: Permission denied; change its permissions or use another path")


def test_images_decoded_into_memory_are_named_as_a_possible_cause(monkeypatch):
    assert "dataset.cache=disk" in outcome_of(monkeypatch, MemoryError(), "dataset.cache=memory").error
    assert "dataset.cache=disk" not in outcome_of(monkeypatch, MemoryError()).error


def test_an_internal_error_of_an_evaluation_creates_no_run_folder(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    outcome = outcome_of(monkeypatch, ZeroDivisionError("division\nby zero"), "mode=eval", f"output_dir={tmp_path / 'out'}")
    assert (outcome.exit_code, outcome.run_dir) == (1, None)
    (trace,) = tmp_path.iterdir()
    assert outcome.error == f"internal error: ZeroDivisionError: division by zero (traceback in {trace})"
    assert "Traceback" in trace.read_text()


def test_the_traceback_of_an_evaluation_does_not_overwrite_an_earlier_one(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    for reason in ("first", "second"):
        outcome_of(monkeypatch, ZeroDivisionError(reason), "mode=eval")
    assert len(list(tmp_path.glob("vision2-error-*.txt"))) == 2


def test_an_internal_error_that_quotes_a_name_is_printable(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    outcome = outcome_of(monkeypatch, ValueError("red\x1b[31m"), "mode=eval")
    assert "ValueError: red\\u001b[31m" in outcome.error


def test_an_error_whose_traceback_cannot_be_written_is_still_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "file"))
    outcome = outcome_of(monkeypatch, ZeroDivisionError("division by zero"), f"output_dir={tmp_path / 'out'}")
    assert outcome.error == "internal error: ZeroDivisionError: division by zero (its traceback could not be written)"
