"""Pretrained weights: found, downloaded, read, loaded."""
