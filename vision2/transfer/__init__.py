"""Strategies as data: which parameters learn and how fast; features kept once; classifiers; transferability."""
