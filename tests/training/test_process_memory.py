"""Peak memory belongs to the job that held it."""

from __future__ import annotations

import sys

import pytest
import torch

from vision2.training.process_memory import peak_memory_mb, reset_peak_memory

CPU = torch.device("cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the resident peak of a process")
def test_a_job_does_not_report_the_memory_of_the_one_before():
    reset_peak_memory()
    before = peak_memory_mb(CPU)
    held = torch.ones(40_000_000)  # 160 MB, written to, so that it is resident
    assert peak_memory_mb(CPU) >= before + 150
    del held
    reset_peak_memory()
    assert peak_memory_mb(CPU) < before + 75
