"""Peak memory is reported per job."""

from __future__ import annotations

import mmap
import sys

import pytest
import torch

from vision2.training.process_memory import peak_memory_mb, reset_peak_memory

CPU = torch.device("cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the resident peak of a process")
def test_a_job_does_not_report_the_memory_of_an_earlier_one():
    reset_peak_memory()
    before = peak_memory_mb(CPU)
    held = mmap.mmap(-1, 160_000_000)  # unlike memory from an allocator, it is always returned to the system
    for page in range(0, len(held), mmap.PAGESIZE):
        held[page] = 1
    assert peak_memory_mb(CPU) >= before + 150
    held.close()
    reset_peak_memory()
    assert peak_memory_mb(CPU) < before + 75
