"""Running a job so that whatever happens to it is recorded: signals, outcomes, sweeps."""
