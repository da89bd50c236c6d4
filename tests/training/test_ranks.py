"""Several processes make the steps and the metrics of one: with two gloo processes (`make test-scale`), and a group of one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from shared_steps import CASES, Small, trained, training_batches

from vision2.basics.errors import UserError
from vision2.basics.place import Place
from vision2.training.ranks import Ranks, device_name, joined
from vision2.training.settings import TrainConfig

TWO = Place(rank=0, size=2, local_rank=0, local_size=2)
CPU = torch.device("cpu")


@pytest.fixture
def port(monkeypatch):
    """A free port, as torchrun would name it."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        number = free.getsockname()[1]
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", str(number))
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    return number


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes made of each case."""
    file = tmp_path_factory.mktemp("two") / "made.pt"
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[2]}"}
    subprocess.run(
        [*line, str(Path(__file__).with_name("shared_steps.py")), str(file)], env=environment, check=True, timeout=120
    )
    return torch.load(file, weights_only=False)  # written by this test


@pytest.mark.scale
@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_and_predict_as_one_does(case, two):
    weights, result, probabilities = two["made"][case]
    alone = trained(case)
    for name, value in alone.weights.items():
        assert torch.allclose(weights[name], value, rtol=0, atol=1e-6), name
    assert result[:4] == pytest.approx(alone.result[:4], abs=1e-5)
    assert result.images == alone.result.images
    assert np.abs(probabilities - alone.probabilities).max() < 1e-6


@pytest.mark.scale
def test_running_statistics_are_the_mean_of_those_of_both_parts(two):
    """Nine images are divided into four and five, from which one step is made; torch's momentum is 0.1."""
    convolution, norm = Small().backbone[:2]
    parts = [next(training_batches("one step").epoch(1, Place(rank, 2))) for rank in (0, 1)]
    assert [len(part.images) for part in parts] == [4, 5]
    means = [convolution(part.images).mean((0, 2, 3)) for part in parts]
    expected = 0.9 * norm.running_mean + 0.1 * (means[0] + means[1]) / 2
    assert torch.allclose(two["adapted"]["backbone.1.running_mean"], expected, atol=1e-6)


@pytest.mark.scale
def test_dropout_differs_between_processes(two):
    first, second = two["dropout"]
    assert first != second


def test_a_group_of_one_process_trains_as_no_group_does(port):
    with joined(Place(), CPU) as ranks:
        assert ranks.gather([1, 2]) == [1, 2]
        assert ranks.from_first(lambda: "made here") == "made here"
        for case in ("weights by class", "accumulated"):
            assert all(torch.equal(value, trained(case).weights[name]) for name, value in trained(case, ranks).weights.items())


def test_the_first_failure_is_the_one_that_is_reported(port):
    with joined(Place(), CPU) as ranks:
        assert ranks.failure() is None
        assert ranks.fails_first("the disk is full")
        assert not ranks.fails_first("the connection is closed")
        assert ranks.failure() is None  # its own
        ranks._store.set("failure", "1 the disk is full")
        assert ranks.failure() == "the disk is full"
        assert "was it killed" in ranks.lost(RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer"))
        assert ranks.lost(RuntimeError("size mismatch")) is None


def test_processes_that_torchrun_starts_anew_find_the_run_folder(port, tmp_path):
    with joined(Place(), CPU) as ranks:
        assert ranks.kept_folder() is None
        ranks.keep_folder(tmp_path)
        assert ranks.kept_folder() == str(tmp_path)


def test_a_port_that_is_taken_is_said_in_one_sentence(port):
    with (
        socket.socket() as other,
        pytest.raises(UserError, match=f"port {port} of this machine is taken; choose another one with MASTER_PORT"),
    ):
        other.bind(("", port))
        other.listen()
        with joined(TWO, CPU):
            pass


def test_each_process_has_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_name("cuda", Place(3, 4, local_rank=1, local_size=2)) == "cuda:1"
    assert device_name("cuda:1", Place()) == "cuda:1"
    with pytest.raises(UserError, match="device=cuda:1 is one device for 2 processes"):
        device_name("cuda:1", TWO)
    with pytest.raises(UserError, match="started 4 processes on this machine, which has 2 GPUs"):
        device_name("auto", Place(0, 4, local_rank=0, local_size=4))


def test_few_images_per_process_are_said_unless_their_statistics_are_synchronised():
    from vision2.training.ranks import ManyRanks

    ranks = object.__new__(ManyRanks)
    Ranks.__init__(ranks, TWO)
    assert "only 15 images in each process" in ranks.small_batch(30, TrainConfig())
    assert ranks.small_batch(32, TrainConfig()) is None
    assert ranks.small_batch(30, TrainConfig(sync_batchnorm=True)) is None
    assert Ranks().small_batch(2, TrainConfig()) is None
