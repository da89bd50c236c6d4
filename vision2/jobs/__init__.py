"""Run jobs so that every outcome is recorded: signals, failures, evaluations, sweeps."""
