"""Plain values every other room may use: errors, random streams, preprocessing, metrics, safe file writes."""
