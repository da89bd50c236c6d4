"""How many processors a process may use: those of the machine, of its affinity and of its container's quota."""

from __future__ import annotations

import pytest

from vision2.basics import threads


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Four cores of two hardware threads each: CPUs 0 and 4 are one core, 1 and 5, ..."""
    for cpu in range(8):
        (tmp_path / f"cpu{cpu}").write_text(f"{cpu % 4},{cpu % 4 + 4}\n")
    monkeypatch.setattr(threads, "SIBLINGS", str(tmp_path / "cpu{}"))
    monkeypatch.setattr(threads, "QUOTA", tmp_path / "cpu.max")

    def allow(cpus, quota=None):
        monkeypatch.setattr("os.sched_getaffinity", lambda _: set(cpus), raising=False)
        if quota:
            (tmp_path / "cpu.max").write_text(quota)
        return threads.usable_cpus(), threads.usable_cores()

    return allow


@pytest.mark.parametrize(
    ("cpus", "quota", "expected"),
    [
        (range(8), None, (8, 4)),
        ([0, 4, 1], None, (3, 2)),
        (range(8), "max 100000\n", (8, 4)),
        (range(8), "250000 100000\n", (3, 3)),
        (range(8), "50000 100000\n", (1, 1)),
        (range(8), "nonsense", (8, 4)),
        ([20], None, (1, 1)),
    ],
)
def test_affinity_quota_and_hardware_threads_are_counted(cpus, quota, expected, machine):
    assert machine(cpus, quota) == expected
