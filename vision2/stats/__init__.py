"""Metrics, intervals, paired comparisons and verdicts, all in one place."""
