"""Everything about a data set's files that can spoil a result."""
