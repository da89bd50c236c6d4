"""A run's folder: claim it, write it, read many back; the JSON lines and TensorBoard trackers."""
