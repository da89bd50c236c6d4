"""Peak memory is reported per job."""

from __future__ import annotations

import gc
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


class Ring:
    """Memory that only the garbage collector frees, in blocks that the allocator keeps after that."""

    def __init__(self):
        self.itself, self.blocks = self, [bytearray(60_000) for _ in range(3000)]
        self.last = bytearray(60_000)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the resident peak of a process")
def test_memory_that_an_earlier_job_freed_is_not_resident_any_more():
    reset_peak_memory()
    before = peak_memory_mb(CPU)
    gc.disable()
    kept = Ring().last  # above the freed blocks on the heap, so that only a trim returns them
    gc.enable()
    assert peak_memory_mb(CPU) >= before + 150
    reset_peak_memory()
    assert len(kept) == 60_000
    assert peak_memory_mb(CPU) < before + 75
