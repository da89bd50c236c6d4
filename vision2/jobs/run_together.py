"""Run one job over the processes that torchrun started: each calls this, and the first one alone records and prints."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, redirect_stderr
from dataclasses import replace

from vision2.basics.errors import UserError
from vision2.basics.place import Place
from vision2.basics.signals import ending_soon, stopping_on_signals
from vision2.config.schema import Config
from vision2.jobs.run_job import Outcome, report_outcome, run_recorded
from vision2.strategies import STRATEGIES
from vision2.training.precision import choose_device
from vision2.training.ranks import ManyRanks, device_name, joined

GRACE_S = 10


def run_together(config: Config, command: str, place: Place) -> int:
    """Run this process's part of a job and return its exit code; whichever process fails first prints the message.

    Raises:
        UserError: for what cannot be shared, or processes that cannot be connected.
    """
    _check_can_be_shared(config, place)
    # When one process ends, torchrun stops the others, which must not cut off what they record and print about it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    with ending_soon(GRACE_S), ExitStack() as connection:
        with stopping_on_signals():
            device = choose_device(device_name(config.device, place))
            ranks = connection.enter_context(joined(place, device))
        outcome = run_recorded(_continued(config, ranks), command, ranks=ranks)
        if _is_to_report(outcome, ranks):
            with redirect_stderr(sys.__stderr__):
                report_outcome(outcome)
        if outcome.exit_code:
            sys.stdout.flush()
            os._exit(outcome.exit_code)  # threads of a broken connection may wait or abort when Python cleans up
        return 0


def _continued(config: Config, ranks: ManyRanks) -> Config:
    """After a restart by torchrun, the configuration that resumes the run that failed."""
    folder = ranks.kept_folder()
    if folder is None or config.resume:
        return config
    print(f"restart {ranks.place.restarts}: the run in {folder} is resumed", flush=True)
    return replace(config, resume=folder)


def _is_to_report(outcome: Outcome, ranks: ManyRanks) -> bool:
    return ranks.fails_first(outcome.error) if outcome.status == "failed" else ranks.rank == 0


def _check_can_be_shared(config: Config, place: Place) -> None:
    """Refuse what has no batches of images to share."""
    alone = "it runs in one process: use python -m vision2.train without torchrun"
    if config.mode == "eval":
        raise UserError(f"torchrun started {place.size} processes for mode=eval; {alone}")
    if STRATEGIES[config.strategy.name].EPISODIC or config.strategy.name == "eszsl":
        raise UserError(f"torchrun started {place.size} processes for strategy={config.strategy.name}; {alone}")
    if config.dataset.split_by == "class":
        raise UserError(f"torchrun started {place.size} processes for dataset.split_by=class, measured by episodes; {alone}")
