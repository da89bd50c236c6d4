"""A process keeps freed memory and its waiting threads leave the processor to others, unless the user has said otherwise."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from vision2.basics.process import ALLOCATOR_VARIABLES, importing, prepare_process, process_settings

KEEPS = """
import resource
from vision2.basics.process import keep_freed_memory
kept = {switch}keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = bytearray(64_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, faults() > 1000, faults() > 1000)
"""


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", *ALLOCATOR_VARIABLES):
        monkeypatch.delenv(name, raising=False)


def in_a_process(code: str, **variables: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="an option of glibc")
def test_a_large_block_is_faulted_in_once_and_then_reused():
    assert in_a_process(KEEPS.format(switch="")) == "True True False"
    assert in_a_process(KEEPS.format(switch="False and ")) == "False True True"


def test_the_users_own_allocator_settings_are_respected():
    assert in_a_process(KEEPS.format(switch=""), MALLOC_TRIM_THRESHOLD_="131072").startswith("False")


def test_waiting_threads_spin_briefly_unless_the_user_has_chosen(monkeypatch):
    prepare_process()
    assert process_settings()["GOMP_SPINCOUNT"] == "1000"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    prepare_process()
    assert "GOMP_SPINCOUNT" not in os.environ


def test_imports_are_not_searched_for_garbage_and_later_objects_are():
    with importing():
        assert not gc.isenabled()
        made = [[] for _ in range(3)]
    try:
        assert gc.isenabled()
        found = gc.get_objects()
        assert not any(one is other for one in made for other in found)  # frozen
        later = [made]
        assert any(later is other for other in gc.get_objects())
    finally:
        gc.unfreeze()
