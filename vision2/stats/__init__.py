"""Metrics, intervals, paired comparisons and verdicts: the only ones."""
