"""`python -m vision2.train model=... dataset=... strategy=...`: train, evaluate, resume, sweep.

Everything is checked before data or weights are touched; then each job runs by itself (see vision2/jobs/sweep.py).
Modules that need torch are imported where they are used, so that `--help` and mistakes are answered at once.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from hydra import main as hydra_main
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from vision2.basics.errors import UserError
from vision2.basics.place import ALONE, Place, own_place
from vision2.basics.process import importing, prepare_process
from vision2.basics.run_files import checkpoint_file
from vision2.basics.signals import Stopped, stopping_on_signals
from vision2.config.command import fail, fail_for_file
from vision2.config.compose import compose_config, refuse_unusable_paths, register, to_config
from vision2.config.help import help_text
from vision2.config.location import config_folder
from vision2.config.overrides import check_overrides, quote_overrides
from vision2.config.saved import changes_on_eval, config_of_checkpoint, config_of_run
from vision2.config.schema import Config
from vision2.config.sweep_plan import fixed_overrides, plan_sweep
from vision2.runs.sweep_folder import SweepFolder, create_sweep_dir

ANSWERED_BY_HYDRA = ("hydra_help", "version", "info", "shell_completion")


def main() -> int:
    """Entry point of `python -m vision2.train`; returns the exit code."""
    prepare_process()
    try:
        place = own_place()
    except UserError as error:
        return fail(error)
    with nullcontext() if place.rank == 0 else _silence():
        return _answer(place)


def _answer(place: Place) -> int:
    """Do what was typed; every mistake and Ctrl-C ends in one message."""
    try:
        return _run(_parse_arguments(), place)
    except UserError as error:
        return fail(error)
    except PermissionError as error:
        return fail_for_file(error, sys.argv[1:])
    except KeyboardInterrupt as stop:  # before or after a run; the run itself records how it was stopped
        print("stopped", file=sys.stderr)
        return 128 + getattr(stop, "number", signal.SIGINT)


def _parse_arguments() -> Namespace:
    """The overrides and the supported options of Hydra (Hydra's own parser is private).

    Raises:
        UserError: for any other option, such as one that would choose another configuration tree.
    """

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; settings are written key=value, e.g. train.epochs=5")

    parser = ArgumentParser(add_help=False)
    parser.error = refuse
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("-p", "--package")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("-i", "--info", nargs="?", const="all")
    for names in (("-h", "--help"), ("--hydra-help",), ("--version",), ("-sc", "--shell-completion")):
        parser.add_argument(*names, action="store_true")
    return parser.parse_intermixed_args()


@contextmanager
def _silence() -> Iterator[None]:
    """Print nothing: of several processes, the first one does that."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):  # noqa: PTH123
        yield


def _run(arguments: Namespace, place: Place) -> int:
    if any(getattr(arguments, option) for option in ANSWERED_BY_HYDRA):
        return _hand_to_hydra(sys.argv[1:])
    overrides = quote_overrides(arguments.overrides)
    check_overrides(overrides)
    fixed = fixed_overrides(overrides)
    node = compose_config(fixed)
    if arguments.help:
        print(help_text(node, resolve=arguments.resolve))
        return 0
    if arguments.cfg:
        if fixed != overrides:
            compose_config(overrides)
        return _hand_to_hydra([word for word in sys.argv[1:] if word not in arguments.overrides] + overrides)
    if arguments.multirun or node.hydra.mode == RunMode.MULTIRUN:
        _refuse_sweep(place)
        return _sweep(overrides, node, typed_m=arguments.multirun)
    config = _config(node if fixed == overrides else compose_config(overrides), overrides)

    if place.size > 1:
        with importing():
            from vision2.jobs.run_together import run_together

        return run_together(config, _command(overrides, place.launcher), place)
    with importing():
        from vision2.jobs.run_job import report_outcome, run_recorded

    return report_outcome(run_recorded(config, _command(overrides)))


def _refuse_sweep(place: Place) -> None:
    """Refuse a sweep under torchrun.

    Raises:
        UserError: if this is one of several processes.
    """
    if place.size > 1:
        raise UserError(
            f"torchrun started {place.size} processes, which can share one run but not a sweep; use python -m vision2.train"
            " without torchrun, with hydra/launcher=joblib for several jobs at once"
        )


def _config(node: DictConfig, overrides: Sequence[str]) -> Config:
    """The configuration of one job; resumed runs and evaluations start from the saved one."""
    if node.resume:
        return config_of_run(node.resume, overrides)
    if node.mode == "eval" and node.checkpoint:
        changes_on_eval(overrides)  # like the paths, before torch is imported
        refuse_unusable_paths(node)
        checkpoint_file(node.checkpoint)
        from vision2.training.checkpoint import saved_config

        return config_of_checkpoint(saved_config(node.checkpoint), node, overrides)
    return to_config(node)


def _sweep(overrides: Sequence[str], node: DictConfig, *, typed_m: bool) -> int:
    """Check every job, run them all, then print and write the results.

    Returns:
        0, 1 when a job failed, 130 or 143 when the sweep was stopped.

    Raises:
        Stopped: if the user stops it before the first job or after the last one.
    """
    plan = plan_sweep(overrides, node)

    with importing():
        from vision2.jobs.sweep import finish_sweep, run_before
    from vision2.jobs.sweep_progress import printing_ends

    source, stopped = None, 0
    with stopping_on_signals():
        if plan.first.strategy.source == "before":
            source = run_before(plan.first, fixed_overrides(overrides))
        folder = SweepFolder(create_sweep_dir(Path(node.output_dir)))
        command = _command(["-m", *overrides] if typed_m else overrides)  # an experiment is a sweep without -m
        folder.describe(command, asdict(plan.first.experiment), source, jobs=plan.jobs)
        print(f"{plan.jobs} jobs; their table and report will be written to {folder.path}", flush=True)
        print(f"to watch their curves: tensorboard --logdir {shlex.quote(str(folder.path))}", flush=True)
        places = [f"hydra.sweep.dir={folder.path}", "hydra.sweep.subdir=.", "hydra.sweeper.params=null"]
        words = ["--multirun", *plan.overrides, *quote_overrides(places)]
        _ask(plan.first)
        try:
            with printing_ends(folder, plan.jobs) if _has_launcher(node.hydra) else nullcontext():
                _hand_to_hydra(words, lambda node: _sweep_job(node, folder))
        except Stopped as stop:
            stopped = 128 + stop.number
            print("sweep stopped; to resume it, run the same command with skip_finished=true", file=sys.stderr)
        code = finish_sweep(folder, plan)
    return stopped or code


def _ask(config: Config) -> None:
    """Print the experiment's question, so that the student can predict before the first result."""
    from vision2.report.prediction import before_the_runs

    opening = before_the_runs(config.experiment, config.prediction, config.report.language)
    if opening:
        print(opening, flush=True)


def _has_launcher(hydra: DictConfig) -> bool:
    """Whether jobs run in separate processes."""
    return hydra.runtime.choices["hydra/launcher"] != "basic"


def _sweep_job(node: DictConfig, folder: SweepFolder) -> float | None:
    """Run one job, in this process or another: all it needs is in its configuration and in the sweep's folder."""
    prepare_process()
    from vision2.jobs.sweep import sweep_job

    hydra = HydraConfig.get()
    overrides = list(hydra.overrides.task)
    config = _config(node, overrides)
    if config.strategy.source == "before":
        config.strategy.source = folder.description()["source"] if config.strategy.pretrained else None
    return sweep_job(config, _command(overrides), folder, number=hydra.job.num + 1, own_log=_has_launcher(hydra))


def _command(overrides: Sequence[str], launcher: str = ALONE.launcher) -> str:
    """The command that repeats this run; for a job of a sweep, with the values of that job."""
    kept = [override for override in overrides if not override.startswith("skip_finished")]
    return f"{launcher} {shlex.join(['vision2.train', *kept])}"


def _hand_to_hydra(arguments: Sequence[str], task: Callable = lambda node: None) -> int:
    """Let Hydra answer, or compose and call `task(node)` once for each job."""
    register()
    sys.argv = [sys.argv[0], *arguments]
    hydra_main(version_base="1.3", config_path=str(config_folder()), config_name="config")(task)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
