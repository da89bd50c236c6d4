"""Does transfer help here? Runs scratch and transfer under an equal budget over several seeds and compares them.

    python -m vision2.compare dataset=plants model=mobilenet_v2 train.epochs=5 seeds=0,1,2
    python -m vision2.compare dataset=plants model=resnet18_small source=outputs/cats_vs_dogs/resnet18-scratch/...
    python -m vision2.compare dataset=digits strategies=scratch,feature_extraction,finetune strategy.source=RUN_FOLDER

The first strategy is the baseline; every run gets the same data, epochs and batch size. Differences in test accuracy are
paired by seed; the verdict (helps | hurts | no difference shown) reads their 95 % interval, corrected where the seed also
draws the split. Finished runs are reused.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vision2.config.command import Option, run_command, whole_numbers

OPTIONS = {
    "seeds": Option("0,1,2", "seeds to repeat with; two at least for a verdict"),
    "strategies": Option("scratch,finetune", "what to compare; the first is the baseline"),
    "source": Option(None, "a run of yours to transfer from, in addition to published weights"),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=list)


def run(overrides: list[str], options: dict) -> int:
    """Check every job, run them, print and write the comparison; 1 when a job failed."""
    seeds = whole_numbers("seeds", options["seeds"], "seeds=0,1,2")
    from vision2.jobs.strategy_comparison import compare, plan

    names = [name.strip() for name in options["strategies"].split(",")]
    return compare(plan(overrides, strategies=names, source=options["source"], seeds=seeds))


if __name__ == "__main__":
    sys.exit(main())
