"""Pretrained weights: finding, downloading, reading and loading them."""
