"""Runs that torchrun starts in two processes, as a user does: metrics, resuming, killed processes, restarts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from vision2.basics.run_files import LAST

pytestmark = pytest.mark.scale
ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
# 65 training images in batches of 21, so that the last two are too few to be divided; 143 and 359 images to evaluate
SMALL = ["dataset.fraction=0.05", "model=resnet20", "dataset.image_size_px=16", "train.batch_size=21", "device=cpu"]


def command(*words: str, options: tuple[str, ...] = (), processes: int = 2) -> list[str]:
    launcher = [*TORCHRUN, *options] if processes == 2 else [sys.executable]
    return [*launcher, "-m", "vision2.train", *words]


def start(folder: Path, *words: str, **kind) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(*words, **kind), cwd=folder, env=environment, **pipes)


def finished(folder: Path, *words: str, **kind) -> tuple[int, str, str]:
    process = start(folder, *words, **kind)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def only_run(folder: Path) -> Path:
    (run_dir,) = [path.parent for path in folder.glob("outputs/*/*/*/config.yaml")]
    return run_dir


def summary(run_dir: Path) -> dict:
    return json.loads((run_dir / "summary.json").read_text())


def worker(rank: int, parent: int) -> int:
    """The process number of a rank that a torchrun has started."""
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = entry.read_bytes().split(b"\0")
            mother = int((entry.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if f"RANK={rank}".encode() in variables and mother == parent:
            return int(entry.parent.name)
    pytest.fail(f"there is no process {rank}")


def after_epochs(process: subprocess.Popen, epochs: int) -> str:
    """Wait until some epochs are done; return what was printed."""
    printed = ""
    while f"epoch {epochs}/" not in printed:
        printed += process.stdout.readline() or pytest.fail(f"it ended: {process.communicate()}")
    return printed


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of four epochs in two processes."""
    folder = tmp_path_factory.mktemp("whole")
    code, out, err = finished(folder, *SMALL, "train.epochs=4")
    assert code == 0, err
    return only_run(folder), out


def test_one_process_alone_prints_and_writes(whole):
    run_dir, out = whole
    assert out.count("resnet20 on digits") == out.count("run folder:") == out.count("epoch 4/4") == 1
    assert "batch 21 over 2 processes" in out and "batch normalisation has only 10 images in each process" in out
    assert len((run_dir / "metrics.jsonl").read_text().splitlines()) == 4
    found = summary(run_dir)
    assert (found["status"], found["world_size"], found["identity"]["world_size"]) == ("completed", 2, 2)
    assert found["command"].startswith("torchrun --nproc-per-node=2 -m vision2.train")
    assert found["metrics"]["val"]["n"] == 143 and found["metrics"]["test"]["n"] == 359


def test_metrics_of_a_network_are_equal_for_any_number_of_processes(whole, tmp_path):
    """Nothing is trained any more: the run is resumed at its end by one process, which evaluates the same network."""
    run_dir, _ = whole
    before = summary(run_dir)["metrics"]
    code, _, err = finished(tmp_path, f"resume={run_dir}", processes=1)
    assert code == 0, err
    assert summary(run_dir)["metrics"] == before


def test_a_resumed_run_equals_the_uninterrupted_one_and_a_killed_process_ends_all(whole, tmp_path):
    process = start(tmp_path, *SMALL, "train.epochs=4")
    after_epochs(process, 2)
    killed = time.monotonic()
    os.kill(worker(1, process.pid), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - killed < 15
    run_dir = only_run(tmp_path)
    ends = re.findall("(?m)^(?:error: another process|stopped; the last).*", err)
    assert len(ends) == 1 and f"Resume with: torchrun --nproc-per-node=2 -m vision2.train resume={run_dir}" in ends[0]
    assert summary(run_dir)["status"] in ("failed", "interrupted")
    code, _, err = finished(tmp_path, f"resume={run_dir}")
    assert code == 0, err
    found, expected = (torch.load(path / LAST, weights_only=True) for path in (run_dir, whole[0]))
    assert all(torch.equal(value, expected["model"][name]) for name, value in found["model"].items())
    assert summary(run_dir)["metrics"] == summary(whole[0])["metrics"]


def test_ctrl_c_ends_all_with_one_message_and_one_process_can_resume(tmp_path):
    process = start(tmp_path, *SMALL, "train.epochs=200")
    after_epochs(process, 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert len(re.findall("(?m)^stopped; the last finished epoch is saved", err)) == 1 and "error:" not in err
    run_dir = only_run(tmp_path)
    assert summary(run_dir)["status"] == "interrupted"
    epochs = summary(run_dir)["epochs_done"]
    code, _, err = finished(tmp_path, f"resume={run_dir}", f"train.epochs={epochs + 1}", processes=1)
    assert code == 0, err
    first, second = summary(run_dir)["sittings"]
    assert (first["world_size"], second["world_size"]) == (2, 1) and second["changes"]["world_size"] == [2, 1]


def test_torchrun_continues_from_the_last_epoch_after_a_failure(tmp_path):
    process = start(tmp_path, *SMALL, "train.epochs=4", options=("--max-restarts=1",))
    printed = after_epochs(process, 2)
    os.kill(worker(1, process.pid), signal.SIGKILL)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    run_dir = only_run(tmp_path)
    assert f"restart 1: the run in {run_dir} is resumed" in out and "epoch 1/4" not in out
    assert "epoch 1/4" in printed and "epoch 4/4" in out
    assert summary(run_dir)["status"] == "completed" and len(summary(run_dir)["sittings"]) == 1


def test_a_mistake_is_printed_once(tmp_path):
    _, out, err = finished(tmp_path, *SMALL, "train.batch_size=3")
    assert len(re.findall("(?m)^error: ", err)) == 1 and "train.batch_size=3 is too small for 2 processes" in err
    assert "exitcode  : 2" in err and "resnet20 on" not in out


def test_the_pass_over_the_images_is_shared_and_one_process_fits_the_classifier(whole, tmp_path):
    strategy = ["strategy=feature_extraction", "strategy.classifier=logistic", f"strategy.source={whole[0]}"]
    results = []
    for processes in (2, 1):
        folder = tmp_path / str(processes)
        folder.mkdir()
        cache = f"dataset.cache_dir={folder / 'cache'}"
        code, out, err = finished(folder, *SMALL, *strategy, cache, processes=processes)
        assert code == 0, err
        assert "567 of 567 computed" in out
        results.append(summary(only_run(folder))["metrics"])
    assert results[0] == results[1]
