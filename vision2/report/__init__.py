"""Report pages from folders of runs: `python -m vision2.report FOLDER`."""
