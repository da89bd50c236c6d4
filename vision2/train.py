"""`python -m vision2.train model=... dataset=... strategy=...`: train, evaluate, resume, sweep.

Everything is checked before data or weights are touched; then each job runs by itself (see vision2/jobs/sweep.py).
"""

from __future__ import annotations

import shlex
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from hydra import main as hydra_main
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from vision2.basics.errors import UserError
from vision2.config.command import fail
from vision2.config.compose import check_overrides, compose_config, register, to_config
from vision2.config.location import config_folder
from vision2.config.quoting import quote_words
from vision2.config.saved import config_of_checkpoint, config_of_run
from vision2.config.schema import Config
from vision2.config.sweep_plan import fixed_words, plan_sweep
from vision2.runs.sweep_folder import SweepFolder, claim_sweep_folder

NO_OPTIONS = ("config_path", "config_name", "config_dir", "experimental_rerun")  # of Hydra


def main() -> int:
    """Entry point of `python -m vision2.train` and `vision2-train`; returns the exit code."""
    try:
        arguments = _arguments()
        words = quote_words(arguments.overrides)
        if arguments.help or arguments.hydra_help or arguments.info or arguments.shell_completion:
            return _hand_to_hydra(lambda node: None, sys.argv[1:])
        check_overrides(words)
        node = compose_config(fixed_words(words))
        if arguments.cfg:
            compose_config(words)
            options = [word for word in sys.argv[1:] if word not in arguments.overrides]
            return _hand_to_hydra(lambda node: None, [*options, *words])
        if arguments.multirun or node.hydra.mode == RunMode.MULTIRUN:
            return _sweep(words, node, asked=arguments.multirun)
        return _single(_config(compose_config(words), words), words)
    except UserError as error:
        return fail(error)
    except KeyboardInterrupt:  # before or after a run, which tells by itself how it was stopped
        print("stopped by the user", file=sys.stderr)
        return 128 + signal.SIGINT


def _arguments() -> Namespace:
    """What was typed, by Hydra's own parser.

    Raises:
        UserError: for an option that there is not, or one of Hydra's that has no meaning here.
    """

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; settings are written key=value, e.g. train.epochs=5")

    parser = get_args_parser()
    parser.error = refuse
    arguments = parser.parse_intermixed_args()
    foreign = [option for option in NO_OPTIONS if getattr(arguments, option)]
    if foreign:
        refuse(f"--{foreign[0].replace('_', '-')} would be ignored: this program reads its own configuration tree")
    return arguments


def _config(node: DictConfig, words: Sequence[str]) -> Config:
    """The configuration of one job; resumed runs and evaluations start from the saved one."""
    if node.resume:
        return config_of_run(node.resume, words)
    if node.mode == "eval" and node.checkpoint:
        from vision2.training.checkpoint import load_checkpoint

        return config_of_checkpoint(load_checkpoint(node.checkpoint)["config"], node, words)
    return to_config(node)


def _single(config: Config, words: Sequence[str]) -> int:
    from vision2.jobs.run_job import report_outcome, run_recorded

    return report_outcome(run_recorded(config, _command(words)))


def _sweep(words: Sequence[str], node: DictConfig, *, asked: bool) -> int:
    """Check every job, run them all, then print and write what came out; 1 when one failed, 130 or 143 when stopped.

    `asked`: with -m; an experiment is a sweep by itself.
    """
    plan = plan_sweep(words, node)
    source = _source(plan.first, words)
    folder = SweepFolder(claim_sweep_folder(Path(node.output_dir)))
    folder.describe(_command(["-m", *words] if asked else words), asdict(plan.first.experiment))
    print(f"{plan.jobs} jobs; their table and report go to {folder.path}", flush=True)

    def job(node: DictConfig) -> float | None:
        from vision2.jobs.sweep import sweep_job

        words = list(HydraConfig.get().overrides.task)
        config = _config(node, words)
        if config.strategy.source == "before":
            config.strategy.source = str(source) if config.strategy.pretrained else None
        return sweep_job(config, _command(words), SweepFolder(Path(HydraConfig.get().sweep.dir)))

    from vision2.jobs.signals import Stopped, stopping_on_signals
    from vision2.jobs.sweep import finish_sweep

    stopped = 0
    try:
        quiet = [f"hydra.sweep.dir={folder.path}", "hydra.sweep.subdir=.", "hydra.sweeper.params=null"]
        with stopping_on_signals():
            _hand_to_hydra(job, ["--multirun", *plan.words, *quote_words(quiet)])
    except Stopped as stop:
        stopped = 128 + stop.number
        print("sweep stopped; start the same command again with skip_finished=true to go on", file=sys.stderr)
    code = finish_sweep(folder, plan)
    return stopped or code


def _source(config: Config, words: Sequence[str]) -> Path | None:
    """The run that the jobs of an experiment start from, made first when there is none yet."""
    if config.strategy.source != "before":
        return None
    from vision2.jobs.sweep import run_before

    return run_before(config, fixed_words(words))


def _command(words: Sequence[str]) -> str:
    """The command that makes this very run again; a job of a sweep names its own values."""
    return shlex.join(
        ["python", "-m", "vision2.train", *(word for word in words if not word.startswith("skip_finished"))]
    )


def _hand_to_hydra(task: Callable, words: Sequence[str]) -> int:
    """Let Hydra compose and call `task(node)` once a job."""
    register()
    sys.argv = [sys.argv[0], *words]
    hydra_main(version_base="1.3", config_path=str(config_folder()), config_name="config")(task)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
