"""Run folders: creating, writing and reading them, with their records and TensorBoard events."""
