"""What every other room may use: errors, settings, random streams, preprocessing, safe file writes."""
