"""The loop and its parts: optimiser, schedule, precision, evaluation, checkpoint."""
