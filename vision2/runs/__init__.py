"""A run's folder: create it, write it, read many back; its records and TensorBoard events."""
