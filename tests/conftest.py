"""What every test shares: one thread per worker, no network, a separate cache, the command line as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers share the cores
os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """No test or module fixture reads or fills the user's caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISION2_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setenv("TORCH_HOME", str(tmp_path_factory.getbasetemp() / "torch"))
        yield


@pytest.fixture(autouse=True, scope="session")
def no_pictures():
    """Runs in the test process draw nothing, which would take a third of their time; yields what draws their pictures."""
    from vision2 import experiment

    with pytest.MonkeyPatch.context() as patch:
        original = experiment._picture
        patch.setattr(experiment, "_picture", lambda *_: None)
        yield original


@pytest.fixture
def draws_pictures(no_pictures, monkeypatch):
    """For a test whose runs draw all the same."""
    monkeypatch.setattr("vision2.experiment._picture", no_pictures)


@pytest.fixture
def vision2(tmp_path):
    """Run `python -m vision2.<command> words...` in an empty folder, as a user does."""

    def call(command: str, *words: str, timeout: float = 120) -> subprocess.CompletedProcess:
        line = [sys.executable, "-m", f"vision2.{command}", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=timeout)

    return call
