"""The checks of `python -m vision2.doctor`. They examine batches, loss, network and splits, never the settings alone."""
