"""Everything learns at the same rate, from a random start."""

from vision2.strategies import finetune

TRAINS_BACKBONE = True
problems, rules, start = finetune.problems, finetune.rules, finetune.start  # only the starting point differs
