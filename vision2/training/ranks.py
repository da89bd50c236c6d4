"""The processes that train one network together: the only file that uses torch.distributed.

Process 0 alone writes and prints; all others do the same work on their part of the images. `Ranks` is a run in one process,
in which each method returns what it is given; `ManyRanks` are several.
"""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from vision2.basics.errors import UserError
from vision2.basics.place import ALONE, Place
from vision2.training.settings import TrainConfig

Item = TypeVar("Item")
CONNECT_S = 120
# The others wait while process 0 decodes a data set. That a process has died is seen otherwise: its connections are closed.
TIMEOUT = timedelta(hours=12)
LOST = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL")  # in messages
SMALL_BATCH = 16  # images per process from which batch normalisation needs them all (Wu and He 2018, figure 1)


class Ranks:
    """A run in one process."""

    def __init__(self, place: Place = ALONE):
        self.place, self.rank, self.size = place, place.rank, place.size

    def first_alone(self) -> AbstractContextManager:
        """A block that process 0 runs before the others, so that these find what it has downloaded or decoded."""
        return nullcontext()

    def wait(self) -> None:
        """Until all processes are here."""

    def from_first(self, make: Callable[[], Item]) -> Item:
        """What `make` returns in process 0, the only one that calls it."""
        return make()

    def gather(self, items: list[Item]) -> list[Item]:
        """The items of all processes, in the order of the processes."""
        return items

    def add(self, values: Tensor) -> None:
        """Replace `values` by their sum over all processes."""

    def mean(self, value: Tensor | float, device: torch.device) -> Tensor | float:
        """The mean of a number over all processes."""
        return value

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all processes."""

    def parallel(self, network: nn.Module, forward: Callable) -> Callable:
        """`forward`, a pass through `network`, with gradients that are averaged over all processes in the backward pass."""
        return forward

    def syncing(self, forward: Callable, *, last: bool) -> AbstractContextManager:
        """A block with one pass of several that are accumulated: gradients are averaged in the last one."""
        return nullcontext()

    def small_batch(self, batch_size: int, train: TrainConfig) -> str | None:
        """A warning if batch normalisation has too few images in each process."""
        return None

    def failure(self) -> str | None:
        """The message of the process that failed first, if it is another one."""
        return None

    def lost(self, error: BaseException) -> str | None:
        """What happened to another process, if `error` only says that there is no connection to it any more."""
        return None

    def keep_folder(self, folder: Path) -> None:
        """Remember the run folder for the processes that torchrun starts anew after a failure."""


ONE_RANK = Ranks()


class ManyRanks(Ranks):
    """One of several processes that are connected; `store` holds what they leave to each other."""

    def __init__(self, place: Place, store):
        super().__init__(place)
        self._kept = torch.distributed.PrefixStore("vision2", store)  # also for those that torchrun starts anew
        self._store = torch.distributed.PrefixStore(f"vision2/{place.restarts}", store)

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        if self.rank:
            self.wait()
        yield
        if not self.rank:
            self.wait()

    def wait(self) -> None:
        torch.distributed.all_reduce(torch.zeros(1))  # on the CPU: a barrier of GPUs would keep them busy

    def from_first(self, make: Callable[[], Item]) -> Item:
        made = [make() if self.rank == 0 else None]
        torch.distributed.broadcast_object_list(made, src=0, device=torch.device("cpu"))
        return made[0]

    def gather(self, items: list[Item]) -> list[Item]:
        found: list = [None] * self.size
        torch.distributed.all_gather_object(found, items)
        return list(chain.from_iterable(found))

    def add(self, values: Tensor) -> None:
        torch.distributed.all_reduce(values)

    def mean(self, value: Tensor | float, device: torch.device) -> Tensor:
        total = torch.as_tensor(value, dtype=torch.float32, device=device).clone()
        torch.distributed.all_reduce(total)
        return total / self.size

    def average(self, tensors: Sequence[Tensor]) -> None:
        if not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        torch.distributed.all_reduce(flat)
        for tensor, values in zip(tensors, (flat / self.size).split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(values.view_as(tensor))

    def parallel(self, network: nn.Module, forward: Callable) -> nn.Module:
        device = next(network.parameters()).device
        ids = [device.index] if device.type == "cuda" else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the new name of `broadcast_buffers` is missing before torch 2.12
            return nn.parallel.DistributedDataParallel(_Pass(network, forward), device_ids=ids, broadcast_buffers=False)

    def syncing(self, forward: nn.parallel.DistributedDataParallel, *, last: bool) -> AbstractContextManager:
        return nullcontext() if last else forward.no_sync()

    def small_batch(self, batch_size: int, train: TrainConfig) -> str | None:
        if train.sync_batchnorm or batch_size // self.size >= SMALL_BATCH:
            return None
        return (
            f"warning: batch normalisation has only {batch_size // self.size} images in each process; with fewer than"
            f" {SMALL_BATCH} the accuracy suffers: use a larger train.batch_size, strategy.batchnorm=frozen or, on GPUs,"
            " train.sync_batchnorm=true"
        )

    def lost(self, error: BaseException) -> str | None:
        known = isinstance(error, torch.distributed.DistError)
        if not known and not (isinstance(error, RuntimeError) and any(text in str(error) for text in LOST)):
            return None
        return "another process of this run ended without a message (was it killed, or out of memory?)"

    def failure(self) -> str | None:
        with suppress(RuntimeError):
            if self._store.check(["failure"]):
                rank, _, message = self._store.get("failure").decode().partition(" ")
                return message if int(rank) != self.rank else None
        return None

    def fails_first(self, message: str) -> bool:
        """Leave a message for the others; False if another process has already left one, which has been printed."""
        mine = f"{self.rank} {message}"
        try:
            return self._store.compare_set("failure", "", mine).decode() == mine
        except RuntimeError:  # process 0 kept the store and has ended
            return self.rank == 0

    def keep_folder(self, folder: Path) -> None:
        if self.rank == 0:
            self._kept.set("folder", str(folder))

    def kept_folder(self) -> str | None:
        return self._kept.get("folder").decode() if self._kept.check(["folder"]) else None


class _Pass(nn.Module):
    """A pass through a network as a module of its own, for DistributedDataParallel."""

    def __init__(self, network: nn.Module, forward: Callable):
        super().__init__()
        self.network = network
        self.run = lambda inputs: forward(inputs)  # a module would be registered a second time

    def forward(self, inputs: Tensor):
        return self.run(inputs)


@contextmanager
def joined(place: Place, device: torch.device) -> Iterator[ManyRanks]:
    """Connect the processes that torchrun started: through nccl for GPUs, gloo for all else.

    Raises:
        UserError: if the port is taken or process 0 cannot be reached.
    """
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    hosts = place.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"  # else torchrun has the store
    wait = timedelta(seconds=CONNECT_S)
    try:
        store = torch.distributed.TCPStore(address, port, place.size, is_master=hosts, timeout=wait, wait_for_workers=False)
    except RuntimeError as error:
        if hosts:
            why = "is taken; choose another one with MASTER_PORT (with torchrun, --standalone finds a free one)"
            raise UserError(f"port {port} of this machine {why}") from error
        raise UserError(f"process 0 cannot be reached at {address}:{port}; check MASTER_ADDR and MASTER_PORT") from error
    if device.type == "cuda":
        torch.cuda.set_device(device)
    ranks = ManyRanks(place, store)
    torch.distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=torch.distributed.PrefixStore(f"vision2/{place.restarts}/group", store),
        rank=place.rank,
        world_size=place.size,
        timeout=TIMEOUT,
    )
    yield ranks
    # Not after an error: this could wait for processes that are gone. Whatever still refers to the connection goes first, so
    # that its threads end here; those that are left when Python ends would abort it.
    gc.collect()
    torch.distributed.destroy_process_group()


def device_name(wanted: str, place: Place) -> str:
    """The device of this process: with several GPUs, each process has one.

    Raises:
        UserError: if the processes cannot have one each, or cannot be connected on this kind of device.
    """
    if place.size == 1 or wanted == "cpu":
        return wanted
    if wanted not in ("auto", "cuda"):
        raise UserError(f"device={wanted} is one device for {place.size} processes; use device=cuda or device=cpu")
    if not torch.cuda.is_available():
        return "cpu" if wanted == "auto" else wanted
    if place.local_size > torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UserError(
            f"torchrun started {place.local_size} processes on this machine, which has {count} GPUs; use"
            f" --nproc-per-node={count}, or device=cpu"
        )
    return f"cuda:{place.local_rank}"


def synchronised(network: nn.Module) -> nn.Module:
    """The network with batch normalisation over the images of all processes; timm's function also keeps its activations."""
    from timm.layers import convert_sync_batchnorm

    return convert_sync_batchnorm(network)
