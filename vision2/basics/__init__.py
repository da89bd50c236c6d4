"""What every other package may use: errors, settings, random streams, preprocessing, safe file writes."""
