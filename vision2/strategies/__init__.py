"""Who learns, how fast and from what: one file a strategy, one table of them."""
