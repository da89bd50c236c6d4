"""Where this process is among those of its run, and which images of a batch are its own. No torch here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from vision2.basics.errors import UserError

FEWEST = 2  # images of a batch in each process: batch normalisation cannot handle one
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Place:
    """One of `size` processes, numbered from 0; `local_rank` and `local_size` count those on the same machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    restarts: int = 0  # how often torchrun has started all of them again

    @property
    def launcher(self) -> str:
        """The start of the command that starts these processes."""
        return f"torchrun --nproc-per-node={self.local_size} -m" if self.size > 1 else "python -m"

    def check_batch(self, batch_size: int) -> None:
        """Raises UserError if a batch is too small to be divided."""
        if self.shares(range(batch_size)):
            raise UserError(
                f"train.batch_size={batch_size} is too small for {self.size} processes, which need {FEWEST} images each;"
                f" set train.batch_size={FEWEST * self.size} or more, or start fewer processes"
            )

    def part_of(self, batch: range) -> range:
        """The positions of `batch` that are this process's: consecutive parts of nearly equal length.

        A batch too small to give every process two images is not divided.
        """
        if self.shares(batch):
            return batch
        count = len(batch)
        return batch[count * self.rank // self.size : count * (self.rank + 1) // self.size]

    def shares(self, batch: range) -> bool:
        """Whether all processes have the whole batch, because it is too small to be divided."""
        return self.size > 1 and len(batch) < FEWEST * self.size


ALONE = Place()


def own_place(environment: Mapping[str, str] = os.environ) -> Place:
    """What torchrun says in environment variables; without it, a run has one process.

    Raises:
        UserError: if there are to be several processes, but not all variables are set.
    """
    if environment.get("WORLD_SIZE", "1") == "1":
        return ALONE
    missing = [name for name in VARIABLES if not environment.get(name)]
    if missing:
        raise UserError(
            f"WORLD_SIZE={environment['WORLD_SIZE']} says there are several processes, but {', '.join(missing)} is not set;"
            " start them with torchrun --nproc-per-node=2 -m vision2.train ..., or unset WORLD_SIZE"
        )
    try:
        rank, size, local_rank, local_size = (int(environment[name]) for name in VARIABLES[:4])
        return Place(rank, size, local_rank, local_size, int(environment.get("TORCHELASTIC_RESTART_COUNT", "0")))
    except ValueError as error:
        raise UserError(f"{', '.join(VARIABLES[:4])} must be whole numbers ({error}); start with torchrun") from error
