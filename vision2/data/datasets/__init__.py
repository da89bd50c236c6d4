"""One file a data set, and one table of them."""
