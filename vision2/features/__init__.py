"""Features of a frozen network: compute, store, classify and compare them."""
