"""The training loop and its parts: optimiser, schedule, precision, predictions, checkpoints."""
