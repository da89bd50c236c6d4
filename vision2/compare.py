"""Does transfer help here? Train from scratch and with transfer, on the same budget and several seeds, and compare.

    python -m vision2.compare dataset=plants model=mobilenet_v2 train.epochs=5 seeds=0,1,2
    python -m vision2.compare dataset=plants model=resnet18_small source=outputs/cats_vs_dogs/resnet18-scratch/...
    python -m vision2.compare dataset=digits strategies=scratch,feature_extraction,finetune strategy.source=RUN_FOLDER

The first strategy is the baseline; all runs use the same data, epochs and batch size. Differences in test accuracy are
paired by seed; the verdict (helps | hurts | no difference shown) depends on their 95 % interval, which is corrected if the
seed also draws the split. Finished runs are reused.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from vision2.config.command import Option, run_command, whole_numbers

OPTIONS = {
    "seeds": Option("0,1,2", "seeds of the repetitions; a verdict needs at least two"),
    "strategies": Option("scratch,finetune", "strategies to compare; the first is the baseline"),
    "source": Option(None, "folder of an earlier run to transfer from, in addition to published weights"),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=list)


def run(overrides: list[str], options: dict) -> int:
    """Check and run all jobs, print and write the comparison; return 1 if a job failed."""
    seeds = whole_numbers("seeds", options["seeds"], "seeds=0,1,2")
    from vision2.jobs.strategy_comparison import compare, plan

    words = [*overrides, *(f"{name}={value}" for name, value in options.items() if value is not None)]
    names = [name.strip() for name in options["strategies"].split(",")]
    jobs = plan(overrides, strategies=names, source=options["source"], seeds=seeds)
    return compare(jobs, shlex.join(["python", "-m", "vision2.compare", *words]))


if __name__ == "__main__":
    sys.exit(main())
