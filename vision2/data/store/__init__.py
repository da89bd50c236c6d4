"""Decoded images, on disk or in memory."""
