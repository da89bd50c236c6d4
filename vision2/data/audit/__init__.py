"""Audit a data set's files for everything that can invalidate a result."""
