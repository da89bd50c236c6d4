"""What every other package may use: errors, settings, random streams, processes and threads, safe texts and file writes."""
