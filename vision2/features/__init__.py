"""Features of a frozen network: cut, compute, keep, classify, compare."""
