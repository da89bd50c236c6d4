"""All parameters are trained at the same learning rate, from random initial weights."""

from vision2.strategies import finetune

TRAINS_BACKBONE, EPISODIC = True, False
problems, rules, start = finetune.problems, finetune.rules, finetune.start  # only the initial weights differ
method = finetune.method
